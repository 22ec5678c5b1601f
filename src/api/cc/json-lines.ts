/** Exports as JSON Lines, sent at the client's pace. The last line says that all of it was there. */
import { endMessage, type KeyEnd } from "../../http/caller.ts";
import { ProblemError } from "../../http/problems.ts";
import { jsonTexts } from "../../shared/json-text.ts";
import { errorOf, type LoggedPlace, writeLine } from "../../shared/log-line.ts";

/** Short lines are sent together, long ones in pieces of so many UTF-16 units. */
const CHUNK_UNITS = 65_536;
const encoder = new TextEncoder();

/** The last line of an export that could not be finished. */
export interface Cut {
  code: "session_deleted" | "unavailable" | "internal_error" | KeyEnd;
  message: string;
  retryable: boolean;
}

/**
 * The texts of a file in pieces; the result is null when all of it was there.
 *
 * @param what for the operator's log
 */
export async function* linesOf(
  what: string,
  place: Partial<LoggedPlace>,
  lines: AsyncGenerator<string, Cut | null>,
): AsyncGenerator<string, Cut | null> {
  try {
    return yield* lines;
  } catch (error) {
    if (error instanceof ProblemError) {
      return { code: "unavailable", message: error.message, retryable: true };
    }
    writeLine({ event: "error", what, ...place, error: errorOf(error) });
    return { code: "internal_error", message: "The export failed. Ask again.", retryable: true };
  }
}

export const keyCut = (end: KeyEnd): Cut => ({
  code: end,
  message: endMessage(end),
  retryable: false,
});

/** One line in pieces: a row may have 16 MB, of which no second text is made. */
export function* line(value: object): Generator<string> {
  yield* jsonTexts(value, CHUNK_UNITS);
  yield "\n";
}

/** Writes the file at the client's pace. Ends quietly when the client leaves. */
export async function send(
  texts: AsyncGenerator<string, Cut | null>,
  out: WritableStream<Uint8Array>,
): Promise<void> {
  const writer = out.getWriter();
  try {
    let waiting = "";
    for (;;) {
      const { value, done } = await texts.next();
      if (done) {
        if (value) waiting += `${JSON.stringify({ type: "error", ...value })}\n`;
        await writer.write(encoder.encode(waiting));
        // A transfer that breaks off is noticed by programs that do not look at the last line.
        return value ? await writer.abort(value.message) : await writer.close();
      }
      waiting += value;
      if (waiting.length < CHUNK_UNITS) continue;
      await writer.write(encoder.encode(waiting));
      waiting = "";
    }
  } catch {
    // Nobody is there to be told.
  } finally {
    await texts.return(null);
  }
}
