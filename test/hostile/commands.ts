/** Commands as a Worker hands them to a session, for tests of their order and of their repetition. */
import { ulid } from "ulid";
import type {
  AskedLimits,
  AskedOptions,
  Command,
  OnBusy,
  Submission,
  SubmitAnswer,
} from "../../src/session/commands.ts";
import { clock } from "../../src/shared/clock.ts";
import type { Row, RowType } from "../../src/shared/rows.ts";
import { foldAll } from "../support/laws.ts";
import { type TestSession, toolset } from "../support/sessions.ts";

const LIMITS: AskedLimits = { plain: 8, tools: 8 };
/** Every turn of these tests has the tool `a`. */
const OPTIONS: AskedOptions = {
  toolset: toolset("a"),
  tool_choice: null,
  parallel_tool_calls: null,
};

type CommandOf<K extends Command["kind"]> = Extract<Command, { kind: K }>;

export function message(words: string, on_busy: OnBusy = "queue"): CommandOf<"input"> {
  const content = [{ type: "text" as const, text: words }];
  const hash = `hash of ${words}`;
  const options = OPTIONS;
  return { kind: "input", content, on_busy, options, limits: LIMITS, replay: false, hash };
}

/** Results by the ids of their calls. */
export function results(texts: Record<string, string>): CommandOf<"results"> {
  const list = Object.entries(texts).map(([tool, text]) => ({
    tool,
    content: [{ type: "text" as const, text }],
    is_error: false,
  }));
  const hash = `hash of ${JSON.stringify(texts)}`;
  return { kind: "results", results: list, options: OPTIONS, limits: LIMITS, hash };
}

/** Answers by the ids of the calls that wait for one. */
export const confirmations = (answers: Record<string, boolean>): CommandOf<"confirmations"> => ({
  kind: "confirmations",
  confirmations: Object.entries(answers).map(([tool, allow]) => ({ tool, allow })),
  limits: LIMITS,
  hash: `hash of ${JSON.stringify(answers)}`,
});

export const interrupt = (
  cancel_queued = false,
  sent_at = clock.now(),
): CommandOf<"interrupt"> => ({
  kind: "interrupt",
  cancel_queued,
  sent_at,
});

export const cancel = (input: number | null): CommandOf<"cancel"> => ({
  kind: "cancel",
  input: input ?? 0,
});

export const submissionOf = (command: Command): Submission => ({
  v: 1,
  submission: ulid(),
  command,
});

/**
 * Submits the commands in this order, as calls that arrive right behind each other: what the object
 * has begun goes on between them as far as it can without an answer from outside.
 */
export const inStep = (session: TestSession, ...commands: Command[]): Promise<SubmitAnswer[]> =>
  session.inside(async (_, object) => {
    const answers: SubmitAnswer[] = [];
    for (const command of commands) {
      answers.push(await object.submit(submissionOf(command)));
      for (let microtasks = 0; microtasks < 20; microtasks++) await null;
    }
    return answers;
  });

/** What an answer says of its submission, and not of the session by now. */
export function told(answer: SubmitAnswer) {
  if (!answer.ok) return answer.refusal;
  const { input, turn, result } = answer.accepted;
  return { input, turn, result, cancelled: answer.cancelled };
}

/** Types of the rows that carry a submission's id. */
export const broughtBy = (rows: readonly Row[], id: string): RowType[] =>
  rows.flatMap((row) => ("submission" in row.body && row.body.submission === id ? [row.type] : []));

/** Resolves with all rows when nothing more happens before somebody calls. */
export async function rest({ reader, stub }: TestSession): Promise<Row[]> {
  const head = (await stub.describe())?.session.seq ?? 0;
  await reader.until(() => {
    if (reader.rows.length < head) return false;
    const { turn, queue } = foldAll(reader.rows);
    return turn ? turn.status === "awaiting" : queue.length === 0;
  });
  return [...reader.rows];
}
