/** What lies on disk: long bodies, media, keys, times. */
import { afterEach, expect, test } from "vitest";
import type { ContentBlock } from "../../src/shared/content.ts";
import { createGate } from "../../src/standin/gate.ts";
import { holdAt, httpError, refusal, reply, text, toolUse } from "../../src/standin/replies.ts";
import { FAR_FUTURE, FakeClock } from "../support/fake-clock.ts";
import {
  accepted,
  refusalOf,
  type TestSession,
  toolset,
  useSessions,
} from "../support/sessions.ts";

const sessions = useSessions();
const MB = 1_000_000;
const HOUR = 60 * 60 * 1000;
let clock: FakeClock | null = null;
afterEach(() => clock?.restore());

const select = <T extends Record<string, SqlStorageValue>>(session: TestSession, query: string) =>
  session.inside((state) => state.storage.sql.exec<T>(query).toArray());

const units = (length: number, piece: string): string =>
  piece.repeat(Math.ceil(length / piece.length)).slice(0, length);

test.each([
  ["ASCII", units(2 * MB, "word ")],
  ["two bytes a unit", units(1.2 * MB, "ä")],
  ["three bytes a unit", units(MB, "語")],
  ["surrogate pairs", units(1.2 * MB, "🙂")],
  ["surrogate pairs at an odd place", `x${units(1.2 * MB, "🙂")}`],
  ["escapes", units(1.2 * MB, '"\\\n')],
])(
  "a body of %s above the limit of a row is kept in parts and read back whole",
  async (_, body) => {
    const session = await sessions.create();
    sessions.script(httpError(401));
    await session.turn(body);
    const sizes = await select<{ bytes: number }>(
      session,
      "SELECT length(CAST(body AS BLOB)) AS bytes FROM log UNION ALL SELECT length(CAST(data AS BLOB)) FROM part",
    );
    for (const { bytes } of sizes) expect(bytes).toBeLessThanOrEqual(1_900_000);
    const parts = await select<{ seq: number }>(session, "SELECT DISTINCT seq FROM part");
    expect(parts.map(({ seq }) => seq)).toEqual([2]);
    const row = (await session.rows())[1];
    expect(row?.type === "input" && row.body.content[0]).toEqual({ type: "text", text: body });
    const pairs = await select<{ data: string }>(session, "SELECT data FROM part");
    expect(pairs.every(({ data }) => data.isWellFormed())).toBe(true);
  },
);

test("a long body is sent to the model and read by a client like any other", async () => {
  const session = await sessions.create();
  sessions.script(text("long indeed"), text("yes"));
  const body = units(1.2 * MB, "語🙂x");
  await session.turn(body);
  expect(sessions.asked(0)[0]?.text).toBe(body);
  await session.crash();
  await session.turn("still there?");
  expect(sessions.messages(1)[0]?.content[0]?.text).toBe(body);
});

test("a body just below the limit is one row", async () => {
  const session = await sessions.create();
  sessions.script(httpError(401));
  await session.turn(units(1.8 * MB, "word "));
  expect(await select(session, "SELECT seq FROM part")).toEqual([]);
});

const SHA = "a".repeat(64);
const PNG =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";

/** A message with an image that says it has so many bytes. */
const image = (bytes: number): ContentBlock[] => [
  { type: "image", source: { type: "media", media_type: "image/png", bytes, sha256: SHA } },
];

const withImage = async (): Promise<TestSession> => {
  const session = await sessions.create();
  await session.stub.putMedia(SHA, 0, Uint8Array.fromBase64(PNG).buffer);
  // As many pieces as the largest of them says it has.
  for (let n = 1; n < 12; n++) await session.stub.putMedia(SHA, n, new ArrayBuffer(0));
  return session;
};

test("media is stored once, in pieces, and given back as it was", async () => {
  const session = await sessions.create();
  const sha256 = "b".repeat(64);
  const pieces = [new Uint8Array(1_800_000).fill(1), new Uint8Array(5).fill(2)];
  for (const [n, piece] of pieces.entries()) await session.stub.putMedia(sha256, n, piece.buffer);
  for (const [n, piece] of pieces.entries()) await session.stub.putMedia(sha256, n, piece.buffer);
  expect(await select(session, "SELECT n FROM media")).toHaveLength(2);
  const response = await session.stub.fetch(new URL(`https://session/media/${sha256}`));
  const bytes = new Uint8Array(await response.arrayBuffer());
  expect(bytes.length).toBe(1_800_005);
  expect([bytes[0], bytes[1_799_999], bytes[1_800_000]]).toEqual([1, 1, 2]);
});

test("a message whose media are not there, or not whole, writes nothing", async () => {
  const session = await sessions.create();
  const send = () => session.trySend(image(3 * MB));
  expect(refusalOf(await send())).toBe("media_missing");
  await session.stub.putMedia(SHA, 0, Uint8Array.fromBase64(PNG).buffer);
  const answer = await send();
  expect(answer).toMatchObject({ ok: false, refusal: { code: "media_missing", missing: [SHA] } });
  expect(await select(session, "SELECT seq FROM log")).toEqual([{ seq: 1 }]);
  sessions.script(text("one"));
  await session.stub.putMedia(SHA, 1, new ArrayBuffer(0));
  await session.turn(image(3 * MB));
});

test("the media of one context stay under 20 MB", async () => {
  const session = await withImage();
  sessions.script(text("one"), text("two"), text("three"));
  expect(refusalOf(await session.trySend(image(20 * MB + 1)))).toBe("media_limit");
  await session.turn(image(12 * MB));
  expect(refusalOf(await session.trySend(image(9 * MB)))).toBe("media_limit");
  await session.turn(image(8 * MB));
  expect(refusalOf(await session.trySend(image(1)))).toBe("media_limit");
  await session.turn(image(20 * MB), { replay: true });
});

test("a message that is left out frees its media", async () => {
  const session = await withImage();
  sessions.script(refusal("cyber"), httpError(413), text("ok"));
  await session.turn(image(20 * MB));
  await session.turn(image(20 * MB));
  await session.turn(image(20 * MB));
  expect(refusalOf(await session.trySend(image(1)))).toBe("media_limit");
});

test("the media of results count, and are free again when the results are replaced", async () => {
  const session = await withImage();
  sessions.script(toolUse("a", {}), refusal("cyber"), text("ok"));
  await session.turn("go", { tools: toolset("a") });
  const results = (bytes: number) =>
    session.tryResults([{ tool: "call_3_0", content: image(bytes), is_error: false }]);
  expect(refusalOf(await results(20 * MB + 1))).toBe("media_limit");
  await session.outcome(accepted(await results(20 * MB)));
  await session.turn(image(20 * MB), { tools: toolset("a") });
});

test("queued media count, also when the turn before is refused", async () => {
  const session = await withImage();
  const gate = createGate();
  sessions.script({ ...refusal("cyber"), acts: [holdAt("request", gate)] }, text("two"));
  const running = await session.send("evil");
  const queued = await session.send(image(15 * MB));
  expect(refusalOf(await session.trySend(image(6 * MB)))).toBe("media_limit");
  const cancelled = await session.send(image(5 * MB));
  await session.submit({ kind: "cancel", input: cancelled.input ?? 0 });
  await session.open(gate);
  expect(await session.outcome(running)).toMatchObject({ outcome: "refused" });
  await session.outcome(queued);
  expect(refusalOf(await session.trySend(image(6 * MB)))).toBe("media_limit");
});

test("queued media count, also when a new transcript goes before them", async () => {
  const session = await withImage();
  const gate = createGate();
  const first = reply({ blocks: [text("one")], acts: [holdAt("request", gate)] });
  sessions.script(first, text("two"), text("three"));
  await session.send("one");
  await session.send("the transcript", { replay: true });
  const queued = await session.send(image(15 * MB));
  await session.open(gate);
  await session.outcome(queued);
  expect(refusalOf(await session.trySend(image(6 * MB)))).toBe("media_limit");
});

test("an idempotency key answers the same for 24 hours, and refuses another body", async () => {
  clock = new FakeClock(FAR_FUTURE);
  const session = await sessions.create();
  sessions.script(text("one"), text("two"), text("three"));
  const first = { key: { id: "k1", hash: "h1" } };
  const sent = await session.send("one", first);
  await session.outcome(sent);
  expect(await session.send("one", first)).toEqual({ ...sent, replayed: true });
  const other = await session.trySend("two", { key: { id: "k1", hash: "h2" } });
  expect(refusalOf(other)).toBe("key_conflict");
  await session.reader.detach();
  await session.crash();
  expect(await session.send("one", first)).toEqual({ ...sent, replayed: true });
  clock.advance(24 * HOUR - 1);
  expect(await session.send("one", first)).toEqual({ ...sent, replayed: true });
  clock.advance(1);
  session.reader.attach();
  const later = await session.send("one", first);
  expect(later.replayed).toBe(false);
  await session.outcome(later);
  expect(await select(session, "SELECT key FROM key")).toHaveLength(1);
  await session.turn("three", { key: { id: "k2", hash: "h" } });
});

test("a key of results and of an interrupt answers the same", async () => {
  const session = await sessions.create();
  sessions.script([toolUse("a", {}), toolUse("a", {})], text("done"));
  await session.turn("go", { tools: toolset("a") });
  const key = { id: "k", hash: "h" };
  const sent = await session.results({ call_3_0: "x", call_3_1: "y" }, { key });
  expect(await session.results({ call_3_0: "x" }, { key })).toEqual({ ...sent, replayed: true });
  await session.outcome(sent);
});

test("the time of rows never falls, whatever the clock does", async () => {
  clock = new FakeClock(FAR_FUTURE);
  const session = await sessions.create();
  sessions.script(text("one"), text("two"));
  await session.turn("one");
  clock.jump(FAR_FUTURE - HOUR);
  await session.turn("two");
  expect(new Set(session.reader.rows.map(({ at }) => at))).toEqual(new Set([FAR_FUTURE]));
});

test("the last hundred submission ids are known", async () => {
  const session = await sessions.create();
  const update = { kind: "update", config: { title: "t" } } as const;
  for (let n = 0; n < 101; n++) await session.submit(update, { submission: `s${n}` });
  const seq = (await session.rows()).length;
  await session.submit(update, { submission: "s2" });
  expect(await session.rows()).toHaveLength(seq);
  await session.submit(update, { submission: "s0" });
  expect(await session.rows()).toHaveLength(seq + 1);
});

test("pages of the log end by rows and by size, and hold at least one row", async () => {
  const session = await sessions.create();
  sessions.script(...Array.from({ length: 3 }, () => httpError(401)));
  for (let i = 0; i < 3; i++) await session.turn(units(0.9 * MB, `${i} long `));
  const { stub } = session;
  expect(await stub.page(0, 2)).toMatchObject({ more: true, rows: [{ seq: 1 }, { seq: 2 }] });
  expect(await stub.page(2, 2)).toMatchObject({ rows: [{ seq: 3 }, { seq: 4 }] });
  const first = await stub.page(0, 1_000);
  expect(first?.more).toBe(true);
  const last = first?.rows.at(-1)?.seq ?? 0;
  expect(last).toBeLessThan(16);
  const rows = [...(first?.rows ?? [])];
  for (let after = last, more = true; more; ) {
    const page = await stub.page(after, 1_000);
    rows.push(...(page?.rows ?? []));
    more = page?.more ?? false;
    after = rows.at(-1)?.seq ?? 0;
  }
  expect(rows).toEqual(await session.rows());
  expect(await stub.page(99, 9)).toMatchObject({ rows: [], more: false });
});

test("a long row is not pushed to every follower: each reads it as a page, once and in order", async () => {
  const session = await sessions.create();
  const body = units(0.6 * MB, "long ");
  sessions.script(text("one"));
  await session.turn(body);
  const live = session.reader.items.flatMap((item) =>
    item.kind === "row" ? [[item.row.type, item.live]] : [],
  );
  expect(live).toContainEqual(["input", false]);
  expect(live).toContainEqual(["outcome", true]);
});
