/**
 * Every command of a session, delivered again with its submission id: at once, after all that it led
 * to, and after a crash. One effect, and one answer.
 */
import { afterEach, describe, expect, test } from "vitest";
import type { Command } from "../../src/session/commands.ts";
import type { Session } from "../../src/session/session.ts";
import type { RowType } from "../../src/shared/rows.ts";
import { createGate, type Gate } from "../../src/standin/gate.ts";
import { holdAt, reply, text, toolUse } from "../../src/standin/replies.ts";
import { builtinToolset } from "../../src/tools/registry.ts";
import { type TestSession, useSessions } from "../support/sessions.ts";
import {
  broughtBy,
  cancel,
  confirmations,
  interrupt,
  message,
  rest,
  results,
  submissionOf,
  told,
} from "./commands.ts";

const sessions = useSessions();
const realFetch = globalThis.fetch;
afterEach(() => {
  globalThis.fetch = realFetch;
});

/** A session, and what has to be done with it from outside. */
interface Place {
  session: TestSession;
  /** Lets it go on to its rest. */
  release: () => Promise<void>;
  /** `last` is done by the object as its last deed. */
  crash: (last?: (object: Session) => void) => Promise<void>;
}

/** A session whose answers are held as long as the test wants. */
async function newPlace(held: boolean): Promise<Place> {
  const session = await sessions.create();
  let holds = held;
  let last: Gate | null = null;
  sessions.answer(() => {
    if (!holds) return text("later");
    last = createGate();
    const acts = [holdAt({ block: 0, delta: 1 }, last)];
    return reply({ blocks: [text("one", { deltas: ["o", "ne"] })], acts });
  });
  return {
    session,
    async release() {
      holds = false;
      if (last) await session.open(last);
    },
    async crash(deed = () => {}) {
      const killed = session.inside((state, object) => {
        deed(object);
        // What the dead object had asked for is never read.
        last = null;
        state.abort("crash");
      });
      await expect(killed).rejects.toThrow("crash");
    },
  };
}

const idle = (): Promise<Place> => newPlace(false);

/** In the middle of the answer to the message 2. */
const running = async (): Promise<Place> => {
  const place = await newPlace(true);
  const { session } = place;
  await session.stub.submit(submissionOf(message("go")));
  await session.reader.until(() => session.reader.previewed === "o");
  return place;
};

/** The same, and the message 4 waits. */
const queued = async (): Promise<Place> => {
  const place = await running();
  await place.session.stub.submit(submissionOf(message("wait")));
  return place;
};

const job = (words: string, webhook_url: string | null = null): Command => ({
  ...message(words),
  job: { webhook_url },
});

/** In the middle of the answer to the job 2, behind which the job 4 waits. */
const working = async (): Promise<Place> => {
  const place = await newPlace(true);
  const { session } = place;
  await session.stub.submit(submissionOf(job("go")));
  await session.reader.until(() => session.reader.previewed === "o");
  await session.stub.submit(submissionOf(job("wait")));
  return place;
};

/** The job 2 has ended, and its webhook, which is being told, does not answer. */
const worked = async (): Promise<Place> => {
  globalThis.fetch = () => new Promise(() => {});
  const place = await idle();
  await place.session.stub.submit(submissionOf(job("go", "https://hooks.example.com/")));
  await rest(place.session);
  return place;
};

/** The calls `call_3_0` and `call_3_1` wait for the client. */
const awaiting = async (): Promise<Place> => {
  const place = await idle();
  const calls = [toolUse("a", {}), toolUse("a", {})];
  sessions.answer(() => (sessions.requests.length === 1 ? calls : text("later")));
  await place.session.stub.submit(submissionOf(message("go")));
  await place.session.reader.row("outcome");
  return place;
};

/** The calls `call_3_0` and `call_3_1` of built-in tools wait for a confirmation. */
const asking = async (): Promise<Place> => {
  const place = await idle();
  const calls = ["a", "b"].map((file_path) => toolUse("Write", { file_path, content: "x" }));
  sessions.answer(() => (sessions.requests.length === 1 ? calls : text("later")));
  const permissions = { mode: "default" as const, allow: [], ask: [], deny: [] };
  const own = { toolset: builtinToolset(), permissions };
  const asked = message("go");
  const options = { ...asked.options, ...own };
  await place.session.stub.submit(submissionOf({ ...asked, options }));
  await place.session.reader.row("outcome");
  return place;
};

type Case = [name: string, place: () => Promise<Place>, command: () => Command, wrote: RowType[]];

const compact = (): Command => ({ kind: "compact", keep: null, instructions: null });

const BOTH = { call_3_1: "two", call_3_0: "one" };

/** Every kind of command, wherever it does something of its own, with the rows that carry its id. */
const CASES: Record<Command["kind"], Case[]> = {
  input: [
    ["a message", idle, () => message("hi"), ["input"]],
    ["a message that waits", running, () => message("hi"), ["input"]],
    ["a steer", running, () => message("hi", "steer"), ["input"]],
    ["a message that interrupts", running, () => message("hi", "interrupt"), ["input"]],
    ["a message to a queue", queued, () => message("hi"), ["input"]],
    ["a message instead of results", awaiting, () => message("hi"), ["input"]],
    ["a job", idle, () => job("hi"), ["input"]],
    ["a job that waits", running, () => job("hi"), ["input"]],
    ["a whole transcript", awaiting, () => ({ ...message("all"), replay: true }), ["input"]],
  ],
  results: [
    ["all results", awaiting, () => results(BOTH), ["tool.ended", "tool.ended"]],
    ["a part of the results", awaiting, () => results({ call_3_1: "one" }), ["tool.ended"]],
  ],
  confirmations: [
    [
      "all confirmations",
      asking,
      () => confirmations({ call_3_0: true, call_3_1: true }),
      ["tool.confirmed", "tool.confirmed"],
    ],
    [
      "a part of the confirmations",
      asking,
      () => confirmations({ call_3_1: false }),
      ["tool.confirmed"],
    ],
  ],
  compact: [
    ["a compaction", idle, () => compact(), ["compaction.requested"]],
    ["a compaction that waits", running, () => compact(), ["compaction.requested"]],
  ],
  interrupt: [
    ["an interrupt", running, () => interrupt(), ["interrupt"]],
    ["an interrupt before a queue", queued, () => interrupt(), ["interrupt"]],
    [
      "an interrupt with the queue",
      queued,
      () => interrupt(true),
      ["interrupt", "input.cancelled"],
    ],
    ["an interrupt of open calls", awaiting, () => interrupt(), ["interrupt"]],
    ["an interrupt of nothing", idle, () => interrupt(true), []],
  ],
  update: [
    [
      "another title",
      idle,
      () => ({ kind: "update", config: { title: "new" } }),
      ["session.updated"],
    ],
    [
      "another model",
      running,
      () => ({ kind: "update", config: { model: "claude-opus-5-5" } }),
      ["session.updated"],
    ],
  ],
  cancel: [["a cancellation", queued, () => cancel(4), ["input.cancelled"]]],
  cancel_job: [
    ["the end of a job", working, () => ({ kind: "cancel_job", input: 2 }), ["interrupt"]],
    [
      "the end of a job that waits",
      working,
      () => ({ kind: "cancel_job", input: 4 }),
      ["input.cancelled"],
    ],
  ],
  redeliver: [
    ["a redelivery", worked, () => ({ kind: "redeliver", input: 2 }), ["webhook.requested"]],
  ],
};

describe.each(Object.values(CASES).flat())("%s", (_, place, command, wrote) => {
  const submission = () => submissionOf(command());

  test("three times at once", async () => {
    const { session, release } = await place();
    const sent = submission();
    const [first, ...more] = await Promise.all([1, 2, 3].map(() => session.stub.submit(sent)));
    if (!first) throw new Error("three answers");
    for (const one of more) expect(told(one)).toEqual(told(first));
    await release();
    expect(broughtBy(await rest(session), sent.submission)).toEqual(wrote);
  });

  test("again after all that it led to", async () => {
    const { session, release } = await place();
    const sent = submission();
    const first = await session.stub.submit(sent);
    await release();
    const rows = await rest(session);
    expect(told(await session.stub.submit(sent))).toEqual(told(first));
    expect(await session.rows()).toEqual(rows);
    expect(broughtBy(rows, sent.submission)).toEqual(wrote);
  });

  test("again after a crash", async () => {
    const { session, release, crash } = await place();
    const sent = submission();
    const first = await session.stub.submit(sent);
    await crash();
    expect(told(await session.stub.submit(sent))).toEqual(told(first));
    await release();
    expect(broughtBy(await rest(session), sent.submission)).toEqual(wrote);
  });

  test("to an object that died over it", async () => {
    const { session, release, crash } = await place();
    const sent = submission();
    // Nothing of it is on disk before the next return to the event loop.
    await crash((object) => void object.submit(sent).catch(() => {}));
    expect(broughtBy(await session.rows(), sent.submission)).toEqual([]);
    const answer = await session.stub.submit(sent);
    expect(answer.ok && answer.accepted.replayed).toBe(false);
    await release();
    expect(broughtBy(await rest(session), sent.submission)).toEqual(wrote);
  });
});
