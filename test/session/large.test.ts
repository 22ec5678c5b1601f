/** Nothing reads a whole log where a part of it will do: rows are counted, not time. */
import { env } from "cloudflare:workers";
import { beforeAll, expect, test } from "vitest";
import { fill } from "../../bench/worker/fill.ts";
import type { Filling } from "../../bench/worker/filling.ts";
import { Session } from "../../src/session/session.ts";
import { Store } from "../../src/session/store.ts";
import type { Hello } from "../../src/session/wire.ts";
import { piecesOf } from "../../src/shared/long-text.ts";
import { eventsOf } from "../../src/shared/row-events.ts";
import { EMPTY_VIEW, reduce } from "../../src/shared/view.ts";
import { httpError, text, toolUse } from "../../src/standin/replies.ts";
import { Reader } from "../support/reader.ts";
import { rowsRead } from "../support/rows-read.ts";
import { held, reached, TestSession, toolset, useSessions } from "../support/sessions.ts";

const sessions = useSessions();

/** What a longer log may cost more, in rows. */
const SPARE = 5;
const LAST = Number.MAX_SAFE_INTEGER;

/** A session whose rows were written behind its back, and which was then forgotten. */
class Filled extends TestSession {
  /** Turns of five rows, from row 2 on. */
  plain = 0;
  /** The last turn. */
  last = 0;

  static async with(...fillings: Filling[]): Promise<Filled> {
    const session = new Filled({});
    await session.create();
    await session.reader.detach();
    for (const filling of fillings) {
      await session.inside(({ storage }) => fill(storage.sql, filling));
      if (!filling.rounds && !filling.replay) session.plain += filling.turns;
    }
    await session.crash();
    session.last = (await session.stub.turns(LAST, 1))?.[0]?.turn ?? 0;
    return session;
  }

  /** The first row of the plain turn that stands so far into the log: 0 at its start, 1 at the end. */
  at(part: number): number {
    return 2 + 5 * Math.floor((this.plain - 1) * part);
  }
}

/** A context of the same length for all of them. */
const CONTEXT: Filling = { turns: 4, characters: 20, replay: true };
let short: Filled;
let long: Filled;
beforeAll(async () => {
  short = await Filled.with({ turns: 20, characters: 20 }, CONTEXT);
  long = await Filled.with({ turns: 4_000, characters: 20 }, CONTEXT);
});

/** Dials and gives the first message. */
async function hello({ stub }: TestSession, after?: number): Promise<Hello> {
  const url = new URL("https://session/follow");
  if (after !== undefined) url.searchParams.set("after", String(after));
  const { webSocket } = await stub.fetch(url, { headers: { upgrade: "websocket" } });
  if (!webSocket) throw new Error("the session did not attach");
  const { promise, resolve } = Promise.withResolvers<Hello>();
  // The first message is always this one.
  webSocket.addEventListener("message", ({ data }) => resolve(JSON.parse(String(data)) as Hello));
  webSocket.accept();
  const message = await promise;
  webSocket.close();
  return message;
}

/** A client that reads from the head on. */
async function readerOf(session: TestSession): Promise<Reader> {
  const { head } = await hello(session);
  const reader = new Reader(session.stub, String(head)).attach();
  await reader.until(() => reader.items.some(({ kind }) => kind === "caught_up"));
  return reader;
}

const options = { toolset: null, tool_choice: null, parallel_tool_calls: null };
const limits = { plain: 8, tools: 8 };

const message = (said: string) => ({
  kind: "input" as const,
  content: [{ type: "text" as const, text: said }],
  on_busy: "reject" as const,
  options,
  limits,
  replay: false,
  hash: said,
});

const results = (tool: string) => ({
  kind: "results" as const,
  results: [{ tool, content: [], is_error: false }],
  options,
  limits,
  hash: "h",
});

const READS: Record<string, (session: Filled) => Promise<unknown>> = {
  waking: (session) => session.inside((state) => new Session(state, env)),
  "the session itself": ({ stub }) => stub.describe(),
  "a page at the start": ({ stub }) => stub.page(0, 50),
  "a page in the middle": (session) => session.stub.page(session.at(0.5), 50),
  "a page from the middle of a turn": (session) => session.stub.page(session.at(0.5) + 2, 50),
  "a page at the end": (session) => session.stub.page(session.last + 2, 50),
  "the last turns": ({ stub }) => stub.turns(LAST, 10),
  "turns in the middle": (session) => session.stub.turns(session.at(0.5), 5),
  "the first turn": ({ stub }) => stub.turn(2),
  "a turn in the middle": (session) => session.stub.turn(session.at(0.5)),
  "the last turn": (session) => session.stub.turn(session.last),
  "a turn that is none": ({ stub }) => stub.turn(3),
  "a follower at the head": (session) => hello(session),
  "a follower in the last turn": (session) => hello(session, session.last + 2),
  "results of a call that had no tool": (session) => session.submit(results("call_3_0")),
  "results of a call that is none": (session) => session.submit(results("call_2_0")),
  "cancelling what is no input": (session) => session.submit({ kind: "cancel", input: 3 }),
  "a change of the title": (session) => change(session, "other"),
};

const change = (session: TestSession, title: string, sent = {}) =>
  session.submit({ kind: "update", config: { title } }, sent);

function storeOf({ sql }: DurableObjectStorage): Store {
  const store = Store.open(sql);
  if (!store) throw new Error("there is no such session");
  return store;
}

test.each(Object.keys(READS))("a long log costs no more rows: %s", async (what) => {
  const counted = (session: Filled) => rowsRead(session, async () => READS[what]?.(session));
  const few = await counted(short);
  expect(few).toBeGreaterThan(0);
  expect(await counted(long)).toBeLessThanOrEqual(few + SPARE);
});

test("a turn in a long log reads its context and no more", async () => {
  const counted = async (session: Filled) => {
    sessions.script(text("Yes."));
    const reader = await readerOf(session);
    const read = await rowsRead(session, async () => {
      await session.submit(message("Go on."));
      await reader.row("outcome");
    });
    await reader.detach();
    return read;
  };
  const few = await counted(short);
  expect(few).toBeGreaterThan(0);
  expect(await counted(long)).toBeLessThanOrEqual(few + SPARE);
});

test("a turn of many rounds costs no more than one of few, and only its end is read", async () => {
  const rounds = (count: number) => ({ count, by: "client" as const, open: true });
  const few = await Filled.with({ turns: 1, characters: 20, rounds: rounds(5) });
  const many = await Filled.with({ turns: 1, characters: 20, rounds: rounds(600) });
  const end = (await many.rows()).length;
  expect(end).toBeGreaterThan(3_000);
  const reads: ((session: Filled, end: number) => Promise<unknown>)[] = [
    (session) => session.inside((state) => new Session(state, env)),
    ({ stub }) => stub.describe(),
    ({ stub }) => stub.turns(LAST, 10),
    ({ stub }) => stub.turn(2),
    (session) => hello(session),
    (session, end) => hello(session, end - 3),
    ({ stub }, end) => stub.page(end - 3, 50),
    (session) => session.submit(results("call_3_0")),
  ];
  for (const read of reads) {
    const fewer = await rowsRead(few, () => read(few, 32));
    expect(await rowsRead(many, () => read(many, end))).toBeLessThanOrEqual(fewer + SPARE);
  }
  expect(await many.stub.turn(2)).toMatchObject({
    status: "awaiting_tool_results",
    result: { tool_calls: [{ id: `call_${end - 3}_0` }] },
  });
});

test("rows without an outcome are read once, not by each follower", async () => {
  const { reply, gate } = held("request", [text("Yes.")]);
  sessions.script(reply);
  const rounds = { count: 300, by: "session" as const, open: true };
  // It goes on with the turn when it wakes.
  const session = await Filled.with({ turns: 1, characters: 20, rounds });
  await reached(gate);
  const { view } = await hello(session);
  expect(view.blocks).toHaveLength(300);
  const again = await rowsRead(session, async () => {
    expect((await hello(session)).view).toEqual(view);
    expect(await session.stub.turn(2)).toMatchObject({ status: "running", output_text: "" });
  });
  expect(again).toBeLessThan(20);
  // A page is read to its end and one row more, and so are the rows between it and the one before.
  await session.stub.page(400, 50);
  expect(await rowsRead(session, () => session.stub.page(450, 50))).toBeLessThan(3 * 50 + 10);
  const reader = await readerOf(session);
  await session.open(gate);
  await reader.row("outcome");
  await reader.detach();
});

test("changes without a turn do not make waking longer and longer", async () => {
  const session = await Filled.with();
  await session.inside(({ storage }) => {
    const store = storeOf(storage);
    for (let n = 0; n < 1_800; n++) {
      const draft = store.draft();
      const body = { submission: `s${n}`, config: { title: `title ${n}` } };
      draft.add({ type: "session.updated", body });
      store.commit(draft);
    }
  });
  await session.crash();
  const wake = () => session.inside((state) => new Session(state, env));
  expect(await rowsRead(session, wake)).toBeLessThan(600);
  expect(await session.stub.describe()).toMatchObject({ session: { title: "title 1799" } });
});

test("one more idempotency key does not read all that came before", async () => {
  const session = await Filled.with();
  await session.inside(({ storage }) => {
    const store = storeOf(storage);
    for (let n = 0; n < 500; n++) store.keepKey(`key ${n % 7}.${n}`, "h", 1);
  });
  const keyed = () => change(session, "other", { key: { id: "key 3.x", hash: "h" } });
  expect(await rowsRead(session, keyed)).toBeLessThan(50);
});

test("long messages are not read to list turns, or by a follower at the head", async () => {
  const long = "long ".repeat(500_000);
  const session = await Filled.with({ turns: 3, characters: 20, message: long });
  const parts = "SELECT count(*) AS n FROM part";
  expect(await session.inside(({ storage }) => storage.sql.exec(parts).one().n)).toBe(12);
  const reads = [
    () => session.stub.turns(LAST, 10),
    () => session.stub.turn(2),
    () => hello(session),
    () => hello(session, 3),
  ];
  for (const read of reads) expect(await rowsRead(session, read)).toBeLessThan(20);
});

test("a message of 16 MB is read back, however wide one of its characters is", async () => {
  const before = { turns: 1, characters: 20, message: "語".repeat(900_000) };
  const message = `${"x".repeat(16_777_000)}語`;
  const session = await Filled.with(before, { turns: 1, characters: 20, message });
  const page = await session.stub.page(0, 50);
  const [, input] = page?.rows.filter((row) => row.type === "input") ?? [];
  const [block] = input?.body.content ?? [];
  const said = block?.type === "text" ? [...piecesOf(block.text)].join("") : "";
  // A difference of 16 MB would be printed.
  expect(said === message).toBe(true);
});

test("turns have their own outcomes, in whichever order they ran", async () => {
  const session = await sessions.create();
  const first = held("request", [text("first")]);
  sessions.script(first.reply);
  const one = await session.send("one");
  await reached(first.gate);
  const waits = await session.send("two");
  sessions.script(text("three"), httpError(401));
  const jumps = await session.send("three", { on_busy: "interrupt" });
  expect((await session.outcome(one)).outcome).toBe("interrupted");
  await session.outcome(jumps);
  await session.outcome(waits);
  const listed = await session.stub.turns(LAST, 10);
  expect(listed?.map(({ turn, outcome }) => [turn, outcome?.outcome])).toEqual([
    [jumps.turn, "completed"],
    [waits.turn, "failed"],
    [one.turn, "interrupted"],
  ]);
  expect(await session.stub.turn(jumps.turn ?? 0)).toMatchObject({
    result: { turn: `turn_${jumps.turn}`, output_text: "three" },
  });
});

test("a session that wakes has the view that its clients have", async () => {
  const session = await sessions.create();
  const same = async () => {
    await session.reader.detach();
    await session.crash();
    session.reader.attach();
    const { head, view } = await hello(session);
    await session.reader.until(() => session.reader.rows.at(-1)?.seq === head);
    expect(view).toEqual(session.reader.view);
    return view;
  };
  expect(await same()).toMatchObject({ status: "idle", turn: null });
  const { reply, gate } = held("request", [toolUse("a", {}), toolUse("a", {})]);
  sessions.script(reply, text("done"), text("next"));
  const first = await session.send("go", { tools: toolset("a") });
  await reached(gate);
  const waits = await session.send("wait");
  await session.open(gate);
  await session.outcome(first);
  expect(await same()).toMatchObject({ status: "awaiting_tool_results", queue: ["input_4"] });
  const one = await session.results({ call_3_0: "one" });
  await session.outcome(one);
  expect((await same()).pending).toMatchObject([{ id: "call_3_1" }]);
  await session.outcome(await session.results({ call_3_1: "two" }));
  await session.outcome(waits);
  expect(await same()).toMatchObject({ status: "idle", turn: "turn_4", queue: [] });
});

test("the view is the same at every place, whichever was asked for before", async () => {
  const session = await sessions.create();
  const one = held("request", [toolUse("a", {})]);
  sessions.script(one.reply, text("left"), httpError(401), text("three"));
  const first = await session.send("one", { tools: toolset("a") });
  await reached(one.gate);
  await session.send("left", { on_busy: "steer" });
  const two = await session.send("two");
  const never = await session.send("never");
  await session.submit({ kind: "cancel", input: never.input ?? 0 });
  await session.open(one.gate);
  await session.outcome(first);
  await session.outcome(await session.results({ call_3_0: "one" }));
  await session.outcome(two);
  await session.turn("three");
  const views = [EMPTY_VIEW];
  for (const row of await session.rows()) {
    const view = views.at(-1) ?? EMPTY_VIEW;
    views.push(eventsOf(row, view).reduce(reduce, view));
  }
  const places = views.map((_, seq) => seq);
  await session.reader.detach();
  await session.crash();
  for (const order of [places.toReversed(), places, places.toSorted((a, b) => (a % 5) - (b % 5))]) {
    for (const seq of order) {
      expect((await session.stub.page(seq, 1))?.view, `behind row ${seq}`).toEqual(views[seq]);
    }
  }
});
