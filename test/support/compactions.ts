import { expect } from "vitest";
import type { Row } from "../../src/shared/rows.ts";
import { reply, text, thinking } from "../../src/standin/replies.ts";
import { accepted, type Sessions, type TestSession } from "./sessions.ts";

/** A model whose conversations the API compacts, and one that is asked for a summary. */
export const API = "claude-sonnet-5-5";
export const PLAIN = "claude-haiku-4-5";

export const OVERFLOW = "prompt is too long: 1000042 tokens > 1000000 maximum";

type EndRow = Extract<Row, { type: "context.compacted" | "compaction.ended" }>;

interface Asked {
  keep?: number | null;
  instructions?: string | null;
}

export const compact = async (
  session: TestSession,
  { keep = null, instructions = null }: Asked = {},
) => accepted(await session.submit({ kind: "compact", keep, instructions }));

/** How the compaction ended that was asked for with the row `request`. */
export async function ended(session: TestSession, request: number): Promise<EndRow> {
  const isEnd = (row: Row): row is EndRow =>
    (row.type === "context.compacted" || row.type === "compaction.ended") &&
    row.body.request === request;
  await session.reader.until(() => session.reader.rows.some(isEnd));
  const row = session.reader.rows.find(isEnd);
  if (!row) throw new Error("it has not ended");
  return row;
}

export const done = async (session: TestSession, asked: Asked = {}): Promise<EndRow> =>
  ended(session, (await compact(session, asked)).s);

/** An answer after which the context counts as too large. */
export const large = (word: string, tokens = 900_000) =>
  reply({ blocks: [thinking(`hm ${word}`), text(`yes ${word}`)], usage: { input_tokens: tokens } });

/** What the tests of one file say to their model, and what it was sent. */
export function conversation(sessions: Sessions) {
  const last = () => sessions.messages(sessions.requests.length - 1);
  return {
    /** Turns that think, one for each of `words`. */
    async talk(session: TestSession, ...words: string[]): Promise<void> {
      for (const word of words) {
        sessions.script([thinking(`hm ${word}`), text(`yes ${word}`)]);
        expect(await session.turn(word)).toMatchObject({ outcome: "completed" });
      }
    },
    /** The messages of the newest request. */
    last,
    said: (): string => JSON.stringify(last()),
  };
}
