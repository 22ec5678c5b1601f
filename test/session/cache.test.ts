/** What the prompt cache gives: everything that was written is read again, and a miss says why. */
import { afterEach, beforeEach, expect, test } from "vitest";
import type { CacheMiss } from "../../src/shared/prompt-cache.ts";
import type { CallEndedBody } from "../../src/shared/rows.ts";
import type { Usage } from "../../src/shared/usage.ts";
import {
  compaction,
  cutAt,
  type ReplyBlock,
  reply,
  text,
  toolUse,
} from "../../src/standin/replies.ts";
import { builtinToolset } from "../../src/tools/registry.ts";
import { FAR_FUTURE, FakeClock } from "../support/fake-clock.ts";
import {
  advanceToRetry,
  held,
  type Sent,
  type TestSession,
  toolset,
  useSessions,
} from "../support/sessions.ts";

const sessions = useSessions();
const MINUTE = 60_000;

let clock: FakeClock;
beforeEach(() => {
  clock = new FakeClock(FAR_FUTURE);
});
afterEach(() => clock.restore());

/** Text of `tokens` tokens, about, that no other call of this gives. */
let count = 0;
const long = (tokens: number): string => {
  count += 1;
  return `${count} `.padEnd(tokens * 4, "lorem ipsum ");
};

/** Above the minimum of every model. */
const system = () => long(5_000);
const A = toolset("a");
const SCHEMA = { type: "object", properties: {}, additionalProperties: false };

const ends = ({ reader }: TestSession): CallEndedBody[] =>
  reader.rows.flatMap((row) => (row.type === "call.ended" ? [row.body] : []));

const usages = (session: TestSession): Usage[] =>
  ends(session).map(({ usage }) => {
    if (!usage) throw new Error("a call without usage");
    return usage;
  });

/** Idle time: no timer of a follower runs in it, as in one that nobody watches. */
const later = (ms: number): void => clock.jump(clock.now + ms);

const kept = (usage: Usage | undefined): number =>
  (usage?.cache_read_input_tokens ?? 0) + (usage?.cache_creation_input_tokens ?? 0);

const misses = (session: TestSession): (CacheMiss | undefined)[] =>
  ends(session).map(({ cache_miss }) => cache_miss);

const reasons = (session: TestSession) => misses(session).map((miss) => miss?.reason);

/** Each call reads all that the one before had read or written. */
function expectAllRead(session: TestSession): void {
  const all = usages(session);
  for (const [i, usage] of all.entries()) {
    if (i > 0) expect(usage.cache_read_input_tokens, `call ${i}`).toBe(kept(all[i - 1]));
    expect(usage.input_tokens, `call ${i} leaves nothing behind its last mark`).toBe(0);
  }
}

async function turn(session: TestSession, sent: Sent = {}): Promise<void> {
  sessions.script(text("fine"));
  expect(await session.turn(long(50), sent)).toMatchObject({ outcome: "completed" });
}

/** Rounds of `calls` parallel calls of the client's tool, then an answer. */
async function rounds(session: TestSession, sizes: readonly number[]): Promise<void> {
  const uses = (n: number): ReplyBlock[] =>
    Array.from({ length: n }, (_, i) => toolUse("a", { i, why: long(10) }));
  sessions.script(...sizes.map((n) => uses(n)), text("done"));
  let outcome = await session.turn(long(50), { tools: A });
  for (const n of sizes) {
    expect(outcome.pending.length).toBe(n);
    const results = Object.fromEntries(outcome.pending.map(({ id }) => [id, long(30)]));
    outcome = await session.outcome(await session.results(results));
  }
  expect(outcome).toMatchObject({ outcome: "completed" });
}

test("over sixty calls each reads all that was written, also behind thirty parallel results", async () => {
  const session = await sessions.create({ system: system() });
  // One round in six appends more blocks than the API looks back over.
  await rounds(
    session,
    Array.from({ length: 59 }, (_, n) => (n % 6 === 5 ? 30 : 1 + (n % 3))),
  );
  expect(ends(session)).toHaveLength(60);
  expectAllRead(session);
  expect(reasons(session)).toEqual(["first_call", ...Array(59).fill(undefined)]);
  // The submission's totals have the figures of its calls.
  const last = session.reader.rows.findLast((row) => row.type === "outcome");
  const final = usages(session).at(-1);
  expect(last?.type === "outcome" && last.body.totals.billed).toMatchObject({
    cache_read_input_tokens: final?.cache_read_input_tokens,
    cache_creation_input_tokens: final?.cache_creation_input_tokens,
  });
});

test("so it is with 1h, over idle times of less than that", async () => {
  const session = await sessions.create({ system: system(), cache_ttl: "1h" });
  await rounds(session, [2, 25]);
  later(59 * MINUTE);
  await rounds(session, [25]);
  expectAllRead(session);
  for (const usage of usages(session)) {
    expect(usage.cache_creation_1h_input_tokens).toBe(usage.cache_creation_input_tokens);
  }
  expect(reasons(session)).toEqual(["first_call", ...Array(4).fill(undefined)]);
});

test("a session may change between 5m and 1h and reads all the same", async () => {
  const session = await sessions.create({ system: system() });
  await turn(session);
  await session.update({ cache_ttl: "1h" });
  await rounds(session, [22]);
  await session.update({ cache_ttl: "5m" });
  await rounds(session, [3]);
  expectAllRead(session);
  // What was written for an hour is there after half of one, and the rest is gone.
  const hour = kept(usages(session)[2]);
  later(30 * MINUTE);
  await turn(session);
  expect(usages(session).at(-1)?.cache_read_input_tokens).toBe(hour);
  expect(misses(session).at(-1)).toEqual({
    reason: "expired",
    tokens: kept(usages(session).at(-2)) - hour,
  });
});

test("what an interrupted call wrote is read by the next one", async () => {
  const session = await sessions.create({ system: system() });
  await turn(session);
  const { reply, gate } = held({ block: 0, delta: 1 }, [
    text("one two", { deltas: ["one", " two"] }),
  ]);
  sessions.script(reply);
  const sent = await session.send(long(2_000));
  await session.reader.until(() => session.reader.previewed === "one");
  await session.interrupt();
  await session.open(gate);
  expect(await session.outcome(sent)).toMatchObject({ outcome: "interrupted" });
  await turn(session);
  expectAllRead(session);
  expect(reasons(session)).toEqual(["first_call", undefined, undefined]);
});

test("a repeated call reads what the broken one wrote", async () => {
  const session = await sessions.create({ system: system() });
  await turn(session);
  sessions.script(reply({ blocks: [text("x")], acts: [cutAt({ block: 0 }, "end")] }), text("fine"));
  const sent = await session.send(long(2_000));
  await advanceToRetry(session, clock);
  expect(await session.outcome(sent)).toMatchObject({ outcome: "completed" });
  const [, broken, again] = usages(session);
  expect(again).toMatchObject({ cache_read_input_tokens: kept(broken), input_tokens: 0 });
  expect(misses(session).at(-1)).toBeUndefined();
});

test("an idle time of the lifetime or more is a miss, counted from the start of the last use", async () => {
  const session = await sessions.create({ system: system() });
  await turn(session);
  later(5 * MINUTE - 1);
  await turn(session);
  // Used again, so its time began anew.
  later(5 * MINUTE - 1);
  await turn(session);
  later(5 * MINUTE);
  await turn(session);
  const before = kept(usages(session)[2]);
  expect(misses(session)).toEqual([
    { reason: "first_call", tokens: 0 },
    undefined,
    undefined,
    { reason: "expired", tokens: before },
  ]);
  expect(before).toBeGreaterThan(5_000);
  const told = session.reader.frames.findLast(({ event }) => event === "call.completed");
  expect(JSON.parse(told?.data ?? "{}").data).toMatchObject({
    cache_miss: { reason: "expired", tokens: before },
  });
});

test("tools that cannot be appended", async () => {
  const session = await sessions.create({ system: system(), model: "claude-sonnet-5" });
  await turn(session, { tools: A });
  await turn(session, { tools: toolset("a", "b") });
  const before = kept(usages(session)[0]);
  expect(misses(session).at(-1)).toEqual({ reason: "changed_tools", tokens: before });
  await turn(session, { tools: toolset("a", "b") });
  expect(misses(session).at(-1)).toBeUndefined();
});

test("another speed, behind which the tools are read all the same", async () => {
  const tools = builtinToolset();
  const session = await sessions.create({ system: system(), tools, model: "claude-opus-5-5" });
  await turn(session);
  await session.update({ settings: { speed: "fast" } });
  await turn(session);
  const [first, second] = usages(session);
  const read = second?.cache_read_input_tokens ?? 0;
  expect(read).toBeGreaterThan(1_000);
  expect(read).toBeLessThan(5_000);
  expect(misses(session).at(-1)).toEqual({
    reason: "settings_changed",
    tokens: kept(first) - read,
    settings: ["speed"],
  });
});

test("a compaction, whose own call reads what is there", async () => {
  const session = await sessions.create({ system: system() });
  await turn(session);
  await turn(session);
  sessions.script(compaction("They spoke."));
  const command = { kind: "compact" as const, keep: null, instructions: null };
  await session.submit(command);
  await session.reader.row("context.compacted");
  await turn(session);
  const [, second, summary, after] = usages(session);
  expect(summary?.cache_read_input_tokens).toBe(kept(second));
  const prompt = kept(after) + (after?.input_tokens ?? 0);
  const read = after?.cache_read_input_tokens ?? 0;
  // System and tools are read; all else is new.
  expect(read).toBeGreaterThan(5_000);
  expect(misses(session).slice(1)).toEqual([
    undefined,
    undefined,
    { reason: "compacted", tokens: Math.min(kept(second), prompt) - read },
  ]);
  await turn(session);
  expect(misses(session).at(-1)).toBeUndefined();
});

test("another model", async () => {
  const session = await sessions.create({ system: system() });
  await turn(session);
  await turn(session);
  await session.switchModel("claude-opus-5-5");
  await turn(session);
  const before = kept(usages(session)[1]);
  expect(misses(session).at(-1)).toEqual({ reason: "model_switched", tokens: before });
  await turn(session);
  expect(misses(session).at(-1)).toBeUndefined();
});

test("a prompt below the model's minimum", async () => {
  const session = await sessions.create({ system: "Short.", model: "claude-opus-4-8" });
  await turn(session);
  await turn(session);
  const [first] = usages(session);
  expect(kept(first)).toBe(0);
  expect(misses(session).at(-1)).toEqual({
    reason: "below_minimum",
    tokens: first?.input_tokens,
  });
  sessions.script(text("fine"));
  await session.turn(long(2_000));
  // This one is cached, and the next reads it.
  await turn(session);
  expect(reasons(session)).toEqual(["first_call", "below_minimum", "below_minimum", undefined]);
});

test.each([
  [{ settings: { effort: "low" } }, ["effort"], "claude-opus-5-5"],
  [{ tool_choice: { type: "none" } }, ["tool_choice"], "claude-sonnet-5-5"],
  [{ settings: { thinking: { type: "disabled" } } }, ["thinking"], "claude-sonnet-5"],
  [
    { settings: { output_format: { type: "json_schema", schema: SCHEMA } } },
    ["output_format"],
    "claude-sonnet-5-5",
  ],
] satisfies [Sent, string[], string][])("settings: %j", async (sent, settings, model) => {
  const session = await sessions.create({ system: system(), model, tools: A });
  await turn(session);
  sessions.script(text("{}"));
  await session.turn(long(10), sent);
  const [first, second] = usages(session);
  const tokens = kept(first) - (second?.cache_read_input_tokens ?? 0);
  expect(tokens).toBeGreaterThan(0);
  // System and tools do not depend on them.
  expect(second?.cache_read_input_tokens).toBeGreaterThan(5_000);
  expect(misses(session).at(-1)).toEqual({ reason: "settings_changed", tokens, settings });
});

test("the first image of a conversation", async () => {
  const session = await sessions.create({ system: system() });
  await turn(session);
  const png =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
  const source = { type: "base64" as const, media_type: "image/png", data: png };
  sessions.script(text("I see"));
  await session.turn([
    { type: "image", source },
    { type: "text", text: "Look." },
  ]);
  expect(misses(session).at(-1)).toMatchObject({
    reason: "settings_changed",
    settings: ["images"],
  });
});

test("a transcript that the client sends again, of which nothing more than it has could be read", async () => {
  const session = await sessions.create({ system: system() });
  sessions.script(text("fine"));
  await session.turn(long(9_000));
  await turn(session, { replay: true });
  const [first, second] = usages(session);
  const read = second?.cache_read_input_tokens ?? 0;
  const prompt = read + (second?.cache_creation_input_tokens ?? 0) + (second?.input_tokens ?? 0);
  expect(misses(session).at(-1)).toEqual({ reason: "replayed", tokens: prompt - read });
  expect(prompt).toBeLessThan(kept(first));
});

test("an API that caches nothing: it is not known why", async () => {
  const session = await sessions.create({ system: system() });
  const none = {
    input_tokens: 9_000,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: 0,
    cache_creation: null,
  };
  const uncached = { kind: "message" as const, blocks: [text("fine")], usage: none };
  sessions.script(uncached, uncached);
  await session.turn("one");
  await session.turn("two");
  expect(misses(session)).toEqual([
    { reason: "first_call", tokens: 0 },
    { reason: "unknown", tokens: 9_000 },
  ]);
});

test("sessions with the same tools share what those take, whatever their prompts say", async () => {
  const tools = builtinToolset();
  const one = await sessions.create({ system: system(), tools });
  await turn(one);
  const two = await sessions.create({ system: system(), tools });
  await turn(two);
  const [first] = usages(two);
  expect(first?.cache_read_input_tokens).toBeGreaterThan(1_000);
  expect(misses(two)).toEqual([undefined]);
});
