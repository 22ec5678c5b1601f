/** What a session tells the audit of its account: each act once, whatever happens on the way. */
import { env } from "cloudflare:workers";
import { ulid } from "ulid";
import { afterEach, expect, test } from "vitest";
import { accountOf } from "../../src/account/client.ts";
import { sessionStub } from "../../src/session/calls.ts";
import type { Command } from "../../src/session/commands.ts";
import { onFaultPoint } from "../../src/session/fault-points.ts";
import type { AuditEntry } from "../../src/shared/audit.ts";
import { compaction, text, toolUse } from "../../src/standin/replies.ts";
import { newAccountName } from "../support/accounts.ts";
import { useFakeClock } from "../support/fake-clock.ts";
import {
  held,
  reached,
  runAlarm,
  type TestSession,
  toolset,
  useSessions,
} from "../support/sessions.ts";

const sessions = useSessions();

const clock = useFakeClock();
afterEach(() => onFaultPoint(null));

async function audit({ account }: Pick<TestSession, "account">): Promise<AuditEntry[]> {
  const asked = { order: "oldest" as const, limit: 2_000, cursor: null };
  return (await accountOf(env, account).auditPage(asked)).entries;
}

const acts = async (session: Pick<TestSession, "account">) =>
  (await audit(session)).map(({ action, target, key, detail }) => [action, target, key, detail]);

/** Posts as somebody whose key is called `caller`. */
const post = (session: TestSession, command: Command, caller: string) =>
  session.stub.submit({ v: 1, submission: ulid(), caller, command });

/** The session cannot reach its account until the object dies. */
const cutOff = (session: TestSession): Promise<void> =>
  session.inside((_, object) => {
    const getByName = () => {
      throw new Error("the account cannot be reached");
    };
    Object.defineProperty(object, "env", { value: { ...env, ACCOUNT: { getByName } } });
  });

const options = { toolset: null, tool_choice: null, parallel_tool_calls: null };
const limits = { plain: 8, tools: 4 };

const message = (words: string, on_busy: "queue" | "interrupt" = "queue"): Command => ({
  kind: "input",
  content: [{ type: "text", text: words }],
  on_busy,
  options,
  limits,
  replay: false,
  hash: ulid(),
});

test("every act that leaves a row has one entry with the key that did it", async () => {
  const session = await sessions.create({ account: newAccountName(), tools: toolset("read") });
  const answer = held({ block: 0, delta: 1 }, [text("one", { deltas: ["o", "ne"] })]);
  sessions.script([toolUse("read", { path: "a" }), toolUse("read", { path: "b" })], answer.reply);
  const summary = held(2, [compaction("One.")]);
  sessions.script(summary.reply);
  await post(session, { kind: "update", config: { title: "T", metadata: {} } }, "first");
  await post(session, message("a secret"), "key_01");
  await session.reader.row("outcome");
  const [a = "", b = ""] = await session.pending();
  const result = (id: string) => ({ tool: id, content: [], is_error: false });
  const results: Command = {
    kind: "results",
    results: [result(a), result(b)],
    options,
    limits,
    hash: "h",
  };
  await post(session, results, "second");
  await session.reader.until(() => session.reader.previewed === "o");
  await post(session, message("waits"), "third");
  const queued = session.reader.rows.at(-1)?.seq ?? 0;
  await post(session, { kind: "cancel", input: queued }, "fourth");
  await post(session, { kind: "compact", keep: null, instructions: null }, "fifth");
  const interrupt = { kind: "interrupt" as const, cancel_queued: true, sent_at: clock.now };
  await post(session, interrupt, "sixth");
  // What waited for the end of the turn begins, and is stopped as well.
  await reached(summary.gate);
  await post(session, { ...interrupt, sent_at: clock.now }, "eighth");
  await session.stub.remove("01HD", "seventh");
  expect(await acts(session)).toEqual([
    ["session.create", null, null, null],
    ["session.update", null, "first", "title,metadata"],
    ["turn.create", "turn_3", "key_01", "now"],
    ["turn.results", "turn_3", "second", null],
    ["turn.create", `turn_${queued}`, "third", "queued"],
    ["queue.cancel", `input_${queued}`, "fourth", null],
    ["session.compact", null, "fifth", null],
    ["turn.interrupt", "turn_3", "sixth", null],
    ["turn.interrupt", null, "eighth", "compaction"],
    ["session.delete", null, "seventh", null],
  ]);
  const all = await audit(session);
  expect(all.every((entry) => entry.session === session.id && entry.outcome === "ok")).toBe(true);
  expect(JSON.stringify(all)).not.toContain("secret");
});

test("a creation says whose it is, also one that the account was asked for", async () => {
  const account = newAccountName();
  for (const more of [{}, { name: "n" }]) {
    const stub = sessionStub(env, account, ulid());
    const config = {
      model: "claude-sonnet-5-5",
      title: null,
      system_prompt: null,
      metadata: {},
      toolset: { tools: {} },
      ...more,
    };
    expect(await stub.create(ulid(), config, { caller: "owner" })).toMatchObject({ ok: true });
  }
  expect(await acts({ account })).toEqual([
    ["session.create", null, "owner", null],
    ["session.create", null, "owner", null],
  ]);
});

test("an object that dies before its report tells after the alarm, and once", async () => {
  const session = await sessions.create({ account: newAccountName() });
  await cutOff(session);
  sessions.script(text("one"));
  await session.turn("one");
  await post(session, { kind: "update", config: { title: "T" } }, "first");
  expect(await acts(session)).toHaveLength(1);
  await session.crash();
  await runAlarm(session);
  const told = [
    ["session.create", null, null, null],
    ["turn.create", "turn_2", null, "now"],
    ["session.update", null, "first", "title"],
  ];
  expect(await acts(session)).toEqual(told);
  // After a restart all of it counts as owed again.
  await session.crash();
  await session.inside((_, object) => object.alarm());
  expect(await acts(session)).toEqual(told);
});

test.each(["report", "reported"] as const)("one that dies at %s tells once", async (point) => {
  const session = await sessions.create({ account: newAccountName() });
  await cutOff(session);
  await post(session, { kind: "update", config: { title: "T" } }, "first");
  await session.crash();
  let dies = true;
  onFaultPoint((object, reached) => {
    if (!dies || reached !== point || object.id.name !== `${session.account}/${session.id}`) return;
    dies = false;
    object.abort("crash");
  });
  // It lasts until the object dies.
  const dead = session.inside(async (_, object) => {
    await object.alarm();
    await new Promise(() => {});
  });
  await dead.catch(() => {});
  expect(dies).toBe(false);
  const told = await acts(session);
  expect(told).toHaveLength(point === "report" ? 1 : 2);
  await session.inside((_, object) => object.alarm());
  expect(await acts(session)).toEqual([
    ["session.create", null, null, null],
    ["session.update", null, "first", "title"],
  ]);
});

/** Changes the session so many times. */
const change = (session: TestSession, times: number): Promise<void> =>
  session.inside(async (_, object) => {
    for (let n = 0; n < times; n++) {
      const command = { kind: "update" as const, config: { title: `T${n}` } };
      await object.submit({ v: 1, submission: ulid(), caller: "first", command });
    }
  });

const numbers = (last: number) => Array.from({ length: last }, (_, i) => i + 1);

test("many rows are told in several reports", async () => {
  const session = await sessions.create({ account: newAccountName() });
  await cutOff(session);
  await change(session, 450);
  await session.crash();
  let reports = 0;
  onFaultPoint((object, reached) => {
    const own = object.id.name === `${session.account}/${session.id}`;
    if (own && reached === "report") reports += 1;
  });
  await runAlarm(session);
  expect((await audit(session)).map(({ n }) => n)).toEqual(numbers(451));
  expect(reports).toBe(3);
});

test("a deletion tells all that is owed, also more than is kept in memory", async () => {
  const session = await sessions.create({ account: newAccountName() });
  await cutOff(session);
  await change(session, 1_050);
  await session.inside((_, object) => {
    Object.defineProperty(object, "env", { value: env });
  });
  await session.stub.remove("01HD", "last");
  expect((await audit(session)).map(({ n }) => n)).toEqual(numbers(1_052));
});

test("with a budget the question for a lease tells, too", async () => {
  const session = await sessions.create({ account: newAccountName() });
  const { reply } = held({ block: 0, delta: 1 }, [text("one", { deltas: ["o", "ne"] })]);
  sessions.script(reply);
  await session.inside((_, object) => {
    Object.defineProperty(object, "env", { value: { ...env, BUDGET_DAY_USD: "100" } });
  });
  await post(session, message("one"), "first");
  await session.reader.until(() => session.reader.previewed === "o");
  expect(await acts(session)).toContainEqual(["turn.create", "turn_2", "first", "now"]);
  await session.stub.remove("01HD");
});
