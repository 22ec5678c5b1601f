/** What a managed key may cost: whose money a call is, and that nobody else's pays for it. */
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, test } from "vitest";
import type { Account } from "../../src/account/account.ts";
import { accountOf } from "../../src/account/client.ts";
import { owedEntries } from "../../src/session/outbox.ts";
import { Store } from "../../src/session/store.ts";
import type { LedgerEntry } from "../../src/shared/ledger.ts";
import { compaction, text, toolUse } from "../../src/standin/replies.ts";
import { countBilled } from "../support/billed.ts";
import { keyId, keyUlid, makeKey, setBudgets } from "../support/managed-keys.ts";
import {
  accepted,
  held,
  reached,
  type Sent,
  type TestSession,
  toolset,
  useSessions,
} from "../support/sessions.ts";

const sessions = useSessions();
const words = (count: number): string => "word ".repeat(count);

let n = 0;
let account = "";
beforeEach(() => {
  n += 1;
  account = `acct_key_budget_${n}`;
});

/** Sent with a managed key that has a budget, or with one that has none. */
const by = (key: number): Pick<Sent, "caller" | "key_budget"> => ({
  caller: keyId(key),
  key_budget: true,
});
const unlimited = (key: number): Pick<Sent, "caller"> => ({ caller: keyId(key) });

const create = (setup = {}) => sessions.create({ account, ...setup });

const leases = (session: TestSession) =>
  session.reader.rows.flatMap((row) => (row.type === "lease" ? [row.body] : []));

/** The entries of the session's ledger, as it would report them. */
const ledger = (session: TestSession): Promise<LedgerEntry[]> =>
  session.inside((state) => {
    const store = Store.open(state.storage.sql);
    return store ? owedEntries(store).entries : [];
  });

/** Calls and turns that each key pays for; all other keys stand under an empty one. */
const paid = async (session: TestSession): Promise<Record<string, [number, number]>> =>
  Object.fromEntries(
    (await ledger(session)).map(({ key = "", calls, turns }) => [key, [calls, turns]]),
  );

/** The calls of the session to its account, by name, from now on. */
async function callsOf(session: TestSession): Promise<string[]> {
  const calls: string[] = [];
  await session.inside((_, object) => {
    const getByName = (name: string) =>
      new Proxy(accountOf(env, name), {
        get(target, method, receiver) {
          calls.push(String(method));
          return Reflect.get(target, method, receiver);
        },
      });
    setEnv(object, { ...env, ACCOUNT: { getByName } });
  });
  return calls;
}

const setEnv = (object: object, value: object): void => {
  Object.defineProperty(object, "env", { configurable: true, value });
};

/** Gives the account a budget of its own, in its object and in the session's. */
async function withAccountBudget(session: TestSession, day: string): Promise<void> {
  const variables = { ...env, BUDGET_DAY_USD: day };
  await session.inside((_, object) => setEnv(object, variables));
  await runInDurableObject(env.ACCOUNT.getByName(account), (object: Account) =>
    setEnv(object, variables),
  );
}

describe("a key's budget", () => {
  test.each(["day", "month", "total"] as const)(
    "for the %s ends a turn and says whose it is, and raised lets the same message go on",
    async (name) => {
      await makeKey(account, 1, { [name]: 0.0001 });
      const session = await create();
      const message = { ...by(1), hash: "the same" };
      const outcome = await session.turn("hi", message);
      expect(outcome).toMatchObject({ outcome: "budget_reached", code: `key_${name}_budget` });
      expect(outcome.message).toContain(`key ${keyId(1)}`);
      expect(outcome.message).toContain(`budgets.${name}_usd`);
      expect(/T00:00:00/.test(outcome.message ?? "")).toBe(name !== "total");
      expect(sessions.requests).toHaveLength(0);
      await setBudgets(account, 1, { [name]: 5 });
      sessions.script(text("Hello."));
      expect(await session.turn("hi", message)).toMatchObject({ outcome: "completed" });
      expect(sessions.messages(0)).toHaveLength(1);
    },
  );

  test("is spent by all its sessions together, and others go on", async () => {
    await makeKey(account, 1, { total: 0.01 });
    sessions.answer(() => text(words(4_000)));
    const all = [await create(), await create(), await create()];
    for (const session of all) await session.turn("Write.", by(1));
    const [last] = all.slice(-1);
    const codes = await Promise.all(
      all.map(async (session) => (await session.turn("More.", by(1))).code),
    );
    expect(codes).toEqual(["key_total_budget", "key_total_budget", "key_total_budget"]);
    const infos = await Promise.all(all.map((session) => session.stub.describe()));
    const spent = infos.reduce((sum, info) => sum + (info?.session.spent_usd ?? 0), 0);
    expect(spent).toBeLessThanOrEqual(0.01);
    expect(spent).toBeGreaterThan(0.006);
    sessions.answer(() => text("Hello."));
    expect(await last?.turn("And I?", unlimited(2))).toMatchObject({ outcome: "completed" });
    expect(await last?.turn("And I?")).toMatchObject({ outcome: "completed" });
  });

  test("is not needed from the moment on when it is taken away", async () => {
    await makeKey(account, 1);
    const session = await create();
    sessions.script(text("Hello."));
    // The Worker did not know yet.
    expect(await session.turn("hi", by(1))).toMatchObject({ outcome: "completed" });
  });

  test("holds for a turn that was running when its key was revoked", async () => {
    await makeKey(account, 1, { day: 0.02 });
    const session = await create({ tools: toolset("a") });
    sessions.answer(() => (sessions.requests.length === 1 ? toolUse("a", {}) : text(words(4_000))));
    await session.turn("go", by(1));
    await accountOf(env, account).revokeKey(keyUlid(1));
    const [call = ""] = await session.pending();
    const end = await session.outcome(await session.results({ [call]: "done" }));
    expect(end).toMatchObject({ outcome: "budget_reached", code: "key_day_budget" });
    const spent = (await session.stub.describe())?.session.spent_usd;
    expect(spent).toBeLessThanOrEqual(0.02);
    // It went on, and not only until it was revoked.
    expect(spent).toBeGreaterThan(0.01);
  });

  test("holds for a compaction that the key asks for, which the session goes on without", async () => {
    await makeKey(account, 1, { day: 0.01 });
    const session = await create();
    sessions.script(text("One."), text("Two."));
    await session.turn("one");
    const command = { kind: "compact", keep: null, instructions: null } as const;
    const { s } = accepted(await session.submit(command, by(1)));
    const end = await session.reader.row("compaction.ended", ({ body }) => body.request === s);
    expect(end.body).toMatchObject({ code: "key_day_budget" });
    expect(await session.turn("two")).toMatchObject({ outcome: "completed" });
  });

  test("that a key gets while its turn waits holds from its own next answer on", async () => {
    await makeKey(account, 1, { day: 0 });
    const session = await create({ tools: toolset("a") });
    sessions.script(toolUse("a", {}));
    await session.turn("go", unlimited(1));
    const [call = ""] = await session.pending();
    const end = await session.outcome(await session.results({ [call]: "done" }, by(1)));
    expect(end).toMatchObject({ outcome: "budget_reached", code: "key_day_budget" });
  });
});

describe("a lease", () => {
  test("of one key is given back before another's turn spends, and kept for the key's own", async () => {
    await makeKey(account, 1, { day: 1_000 });
    await makeKey(account, 2, { day: 1_000 });
    const session = await create();
    sessions.script(text("One."), text("Two."), text("Three."));
    await session.turn("one", by(1));
    await session.turn("two", by(1));
    await session.turn("three", by(2));
    expect(leases(session)).toMatchObject([
      { n: 1, key: keyId(1), ceiling_usd: expect.any(Number) },
      { n: 1, key: keyId(1), ceiling_usd: null },
      { n: 2, key: keyId(2), ceiling_usd: expect.any(Number) },
    ]);
    const standing = async (key: number) =>
      (await accountOf(env, account).keyStanding(keyUlid(key)))?.budgets[0];
    expect(await standing(1)).toMatchObject({ leased_usd: 0 });
    expect((await standing(2))?.leased_usd).toBeGreaterThan(1);
  });

  test("of one key does not pay for a turn that the account's budget limits", async () => {
    await makeKey(account, 1, { day: 1_000 });
    const session = await create();
    await withAccountBudget(session, "1000");
    sessions.script(text("One."), text("Two."));
    await session.turn("one", by(1));
    await session.turn("two");
    expect(
      leases(session).map(({ key = null, ceiling_usd }) => [key, ceiling_usd !== null]),
    ).toEqual([
      [keyId(1), true],
      [keyId(1), false],
      [null, true],
    ]);
  });

  test("whose answer was lost is not another key's, which asks again at once", async () => {
    await makeKey(account, 1, { day: 1_000 });
    await makeKey(account, 2, { day: 1_000 });
    const session = await create();
    let lost = 1;
    await session.inside((_, object) => {
      const real = env.ACCOUNT.getByName(account);
      const stub = {
        report: (...values: Parameters<typeof real.report>) => real.report(...values),
        lease: async (...values: Parameters<typeof real.lease>) => {
          const grant = await real.lease(...values);
          lost -= 1;
          if (lost >= 0) throw new Error("the answer was lost");
          return grant;
        },
      };
      setEnv(object, { ...env, ACCOUNT: { getByName: () => stub } });
    });
    const sent = await session.send("one", by(1));
    await session.reader.row("failure", ({ body }) => body.code === "budget_unavailable");
    await session.interrupt();
    await session.outcome(sent);
    sessions.script(text("Two."));
    expect(await session.turn("two", by(2))).toMatchObject({ outcome: "completed" });
    // The second turn had not to wait.
    expect(session.reader.rows.filter(({ type }) => type === "failure")).toHaveLength(1);
    expect(leases(session).map((body) => [body.n, body.key, body.ceiling_usd !== null])).toEqual([
      [1, keyId(1), true],
      [1, keyId(1), false],
      [2, keyId(2), true],
    ]);
  });

  test("that is refused to one key ends no turn of another that came meanwhile", async () => {
    await makeKey(account, 1, { day: 0 });
    const session = await create();
    const { promise: asked, resolve: ask } = Promise.withResolvers<void>();
    await session.inside((_, object) => {
      const real = env.ACCOUNT.getByName(account);
      const stub = {
        report: (...values: Parameters<typeof real.report>) => real.report(...values),
        lease: async (...values: Parameters<typeof real.lease>) => {
          await asked;
          return real.lease(...values);
        },
      };
      setEnv(object, { ...env, ACCOUNT: { getByName: () => stub } });
    });
    const first = await session.send("one", by(1));
    const second = await session.send("two", { on_busy: "interrupt", ...unlimited(2) });
    expect(await session.outcome(first)).toMatchObject({ outcome: "interrupted" });
    sessions.script(text("Two."));
    await session.inside(() => ask());
    expect(await session.outcome(second)).toMatchObject({ outcome: "completed" });
  });
});

describe("who pays", () => {
  test("a queued message is paid by its own key", async () => {
    const session = await create();
    const one = held("request", [text("One.")]);
    sessions.script(one.reply, text("Two."));
    await session.send("one", unlimited(1));
    await reached(one.gate);
    const two = await session.send("two", { on_busy: "queue", ...unlimited(2) });
    await session.open(one.gate);
    await session.outcome(two);
    expect(await paid(session)).toEqual({ [keyId(1)]: [1, 1], [keyId(2)]: [1, 1] });
  });

  test("a steer, results and a confirmation are paid by the key whose message began the turn", async () => {
    const session = await create({ tools: toolset("a") });
    const one = held("request", [toolUse("a", {})]);
    sessions.script(one.reply, text("Two."));
    const sent = await session.send("one", unlimited(1));
    await reached(one.gate);
    const steer = await session.send("and this", { on_busy: "steer", ...unlimited(2) });
    await session.open(one.gate);
    await session.outcome(sent);
    const [call = ""] = await session.pending();
    await session.results({ [call]: "done" }, unlimited(3));
    await session.outcome(steer);
    expect(await paid(session)).toEqual({ [keyId(1)]: [2, 1] });
  });

  test("a key of the configuration is nobody's in the ledger", async () => {
    const session = await create();
    sessions.script(text("One."), text("Two."));
    await session.turn("one", { caller: "ben" });
    await session.turn("two");
    expect(await ledger(session)).toMatchObject([{ calls: 2, turns: 2 }]);
    expect((await ledger(session))[0]).not.toHaveProperty("key");
  });

  test("a compaction is paid by the key that asks for it, also while another's turn waits", async () => {
    const session = await create({ tools: toolset("a") });
    sessions.script(text("One."), toolUse("a", {}), compaction("They counted."), text("Three."));
    await session.turn("one", unlimited(1));
    await session.turn("two", unlimited(1));
    const command = { kind: "compact", keep: null, instructions: null } as const;
    const { s } = accepted(await session.submit(command, unlimited(2)));
    await session.reader.row("context.compacted", ({ body }) => body.request === s);
    const [call = ""] = await session.pending();
    await session.outcome(await session.results({ [call]: "done" }));
    expect(await paid(session)).toEqual({ [keyId(1)]: [3, 2], [keyId(2)]: [1, 0] });
  });

  test("the log says it as the state does, for days that the account missed", async () => {
    const session = await create({ tools: toolset("a") });
    sessions.script(text("One."), toolUse("a", {}), compaction("They counted."), text("Three."));
    await session.turn("one");
    await session.turn("two", unlimited(1));
    const command = { kind: "compact", keep: null, instructions: null } as const;
    const { s } = accepted(await session.submit(command, unlimited(2)));
    await session.reader.row("context.compacted", ({ body }) => body.request === s);
    const [call = ""] = await session.pending();
    await session.outcome(await session.results({ [call]: "done" }, unlimited(2)));
    const [state, log] = await session.inside(({ storage }) => {
      const store = Store.open(storage.sql);
      if (!store) throw new Error("no session");
      const { entries } = owedEntries(store);
      // The state has forgotten the day, as it does after two more.
      const [first] = store.state.money.ledger;
      const later = [1, 2].map((days) => ({ ...first, day: (first?.day ?? 0) + days }));
      const money = { ...store.state.money, ledger: later };
      const view = Object.create(store, {
        state: { value: { ...store.state, money } },
        reported: { value: 1 },
        reportedDay: { value: first?.day },
      });
      return [entries, owedEntries(view).entries];
    });
    expect(state).toHaveLength(3);
    const sorted = (entries: LedgerEntry[]) =>
      entries.toSorted((a, b) => (a.key ?? "").localeCompare(b.key ?? ""));
    expect(sorted(log)).toEqual(sorted(state));
  });
});

describe("without a budget", () => {
  test("a managed key's turn asks nobody and writes no more than any other", async () => {
    const billed: number[] = [];
    for (const sent of [{}, unlimited(1)]) {
      const session = await create();
      const calls = await callsOf(session);
      const count = await session.inside((state) => countBilled(state));
      sessions.script(text("One."), text("Two."));
      await session.turn("one", sent);
      await session.turn("two", sent);
      expect(leases(session)).toEqual([]);
      expect(new Set(calls)).toEqual(new Set(["report"]));
      const started = await session.reader.row("call.started");
      expect(started.body).not.toHaveProperty("size");
      billed.push(await session.inside(() => count()));
    }
    expect(billed[1]).toBe(billed[0]);
  });

  test("and with a budget the question is one, for several turns", async () => {
    await makeKey(account, 1, { day: 1_000 });
    const session = await create();
    const calls = await callsOf(session);
    sessions.script(text("One."), text("Two."));
    await session.turn("one", by(1));
    await session.turn("two", by(1));
    expect(calls.filter((name) => name === "lease")).toHaveLength(1);
  });
});
