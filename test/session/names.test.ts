/** Names of sessions: the account decides, and no crash between the two leaves them apart. */
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { ulid } from "ulid";
import { afterEach, expect, test } from "vitest";
import { accountOf } from "../../src/account/client.ts";
import { type SessionStub, sessionStub } from "../../src/session/calls.ts";
import type { Submission } from "../../src/session/commands.ts";
import { onFaultPoint } from "../../src/session/fault-points.ts";
import type { Session } from "../../src/session/session.ts";
import { PIECE_UNITS } from "../../src/shared/long-text.ts";
import type { Surface } from "../../src/shared/summary.ts";
import { text } from "../../src/standin/replies.ts";
import { newAccountName } from "../support/accounts.ts";
import { useFakeClock } from "../support/fake-clock.ts";
import {
  held,
  reached,
  refusalOf,
  runAlarm,
  type TestSession,
  useSessions,
} from "../support/sessions.ts";

const sessions = useSessions();

const clock = useFakeClock();
afterEach(() => onFaultPoint(null));

const CONFIG = {
  model: "claude-sonnet-5-5",
  title: null,
  system_prompt: null,
  metadata: {},
  toolset: { tools: {} },
};

interface Made {
  id: string;
  stub: SessionStub;
  create: (name?: string, surface?: Surface) => ReturnType<SessionStub["create"]>;
  /** Runs inside the object, with other variables or an account that cannot be reached. */
  inside: <T>(act: (state: DurableObjectState, session: Session) => T) => Promise<T>;
}

/** A session that is to be made. */
function toMake(account: string, id = ulid()): Made {
  const stub = sessionStub(env, account, id);
  const create = (name?: string, surface: Surface = "cc") =>
    stub.create(id, name === undefined ? CONFIG : { ...CONFIG, name }, { surface });
  const object = () => env.SESSION.getByName(`${account}/${id}`);
  const inside: Made["inside"] = (act) =>
    runInDurableObject(object(), (session: Session, state) => act(state, session));
  return { id, stub, create, inside };
}

const withEnv = (session: Session, more: object): void => {
  Object.defineProperty(session, "env", { value: { ...env, ...more }, configurable: true });
};

const UNREACHABLE = {
  ACCOUNT: {
    getByName: () => {
      throw new Error("the account cannot be reached");
    },
  },
};

const UNREACHABLE_BUT_FOR_NAMES = {
  ACCOUNT: {
    getByName: (name: string) =>
      new Proxy(env.ACCOUNT.getByName(name), {
        get: (stub, method) =>
          method === "claimName"
            ? (...args: unknown[]) => Reflect.apply(Reflect.get(stub, method), stub, args)
            : () => Promise.reject(new Error("the account cannot be reached")),
      }),
  },
};

const named = async (account: string, name: string): Promise<string[]> =>
  (await accountOf(env, account).list({ limit: 9, cursor: null, name })).sessions.map(
    ({ session }) => session,
  );

const tables = ({ inside }: Pick<Made, "inside">): Promise<number> =>
  inside(
    (state) =>
      state.storage.sql
        .exec("SELECT 1 FROM sqlite_master WHERE name NOT LIKE '\\_%' ESCAPE '\\'")
        .toArray().length,
  );

const rename = (session: TestSession, name: string | null, key?: { id: string; hash: string }) =>
  session.submit({ kind: "update", config: { name } }, key ? { key } : {});

test("of two sessions that are made with one name at once, one is there", async () => {
  const account = newAccountName();
  const made = [toMake(account), toMake(account)];
  const answers = await Promise.all(made.map(({ create }) => create("one")));
  expect(answers.map(({ ok }) => ok).toSorted()).toEqual([false, true]);
  expect(answers).toContainEqual({ ok: false, refused: "name_taken" });
  const winner = made[answers.findIndex(({ ok }) => ok)];
  const loser = made[answers.findIndex(({ ok }) => !ok)];
  if (!winner || !loser) throw new Error("one each");
  expect(await named(account, "one")).toEqual([winner.id]);
  expect(await tables(loser)).toBe(0);
  expect(await loser.stub.describe()).toBeNull();
  // Asked again, both answer the same; a name that became free can be had.
  expect(await winner.create("one")).toMatchObject({ ok: true, session: { name: "one" } });
  expect(await loser.create("one")).toEqual({ ok: false, refused: "name_taken" });
  await winner.stub.remove("01HD");
  expect(await loser.create("one")).toMatchObject({ ok: true });
  expect(await named(account, "one")).toEqual([loser.id]);
});

test.each(["report", "reported"] as const)(
  "a creation that dies at %s holds no name for ever",
  async (point) => {
    const account = newAccountName();
    const one = toMake(account);
    const other = toMake(account);
    await one.inside(() => {});
    let dies = true;
    onFaultPoint((object, reached) => {
      if (dies && reached === point && object.id.name === `${account}/${one.id}`) {
        dies = false;
        object.abort("crash");
      }
    });
    // What a stub gives is no promise that `expect` may look at.
    const died = await one.create("x").then(
      () => false,
      () => true,
    );
    expect(died).toBe(true);
    expect(dies).toBe(false);
    const answer = await other.create("x");
    if (point === "report") {
      // The account has never heard of it.
      expect(answer).toMatchObject({ ok: true });
      expect(await one.create("x")).toEqual({ ok: false, refused: "name_taken" });
      expect(await tables(one)).toBe(0);
    } else {
      // It is there, as the list shows, and the creation that is repeated says so.
      expect(answer).toEqual({ ok: false, refused: "name_taken" });
      expect(await named(account, "x")).toEqual([one.id]);
      expect(await one.create("x")).toMatchObject({ ok: true, session: { name: "x" } });
    }
  },
);

test.each(["report", "reported"] as const)(
  "a session of claude-code-api takes a name over, also when its creation dies at %s",
  async (point) => {
    const account = newAccountName();
    const [first, second, third] = [1, 2, 3].map((n) => toMake(account, ulid(n)));
    if (!first || !second || !third) throw new Error("three of them");
    const now = () => accountOf(env, account).sessionNamed("x");
    expect(await first.create("x", "code")).toMatchObject({ ok: true });
    await second.inside(() => {});
    let dies = true;
    onFaultPoint((object, reached) => {
      if (dies && reached === point && object.id.name === `${account}/${second.id}`) {
        dies = false;
        object.abort("crash");
      }
    });
    await second.create("x", "code").catch(() => {});
    expect(dies).toBe(false);
    expect(await second.create("x", "code")).toMatchObject({ ok: true, session: { name: "x" } });
    expect(await now()).toBe(second.id);
    // A native one is refused, and leaves nothing.
    expect(await third.create("x")).toEqual({ ok: false, refused: "name_taken" });
    expect(await tables(third)).toBe(0);
    // The older one is there under its id, with its name, and found by it when the newer one is gone.
    expect((await first.stub.describe())?.session.name).toBe("x");
    await first.inside((state) => state.abort("crash")).catch(() => {});
    expect((await first.stub.describe())?.session.name).toBe("x");
    expect(await now()).toBe(second.id);
    await second.stub.remove("01HD");
    expect(await now()).toBe(first.id);
    await first.stub.remove("01HD");
    expect(await now()).toBeNull();
  },
);

test("without its account no session with a name is made, one without a name is", async () => {
  const account = newAccountName();
  const one = toMake(account);
  const plain = toMake(account);
  await one.inside((_, session) => withEnv(session, UNREACHABLE));
  expect(await one.create("x")).toEqual({ ok: false, undecided: true });
  await one.inside((_, session) => withEnv(session, {}));
  expect(await one.create("x")).toMatchObject({ ok: true });
  await plain.inside((_, session) => withEnv(session, UNREACHABLE));
  expect(await plain.create()).toMatchObject({ ok: true });
});

test("a limit on sessions holds for creations at once, and asks the account no more often", async () => {
  const account = newAccountName();
  await accountOf(env, account).claimName("01HX", "nobody");
  await runInDurableObject(env.ACCOUNT.getByName(account), (object) => {
    const value = { ...env, MAX_SESSIONS_PER_USER: "2" };
    Object.defineProperty(object, "env", { value });
  });
  const made = Array.from({ length: 5 }, () => toMake(account));
  const calls: string[] = [];
  for (const { inside } of made) {
    await inside((_, session) => {
      const getByName = (name: string) =>
        new Proxy(env.ACCOUNT.getByName(name), {
          get(stub, method) {
            calls.push(String(method));
            return (...args: unknown[]) => Reflect.apply(Reflect.get(stub, method), stub, args);
          },
        });
      withEnv(session, { ACCOUNT: { getByName }, MAX_SESSIONS_PER_USER: "2" });
    });
  }
  const answers = await Promise.all(made.map(({ create }) => create()));
  expect(answers.filter(({ ok }) => ok)).toHaveLength(2);
  expect(answers.filter(({ ok }) => !ok)).toEqual(
    Array(3).fill({ ok: false, refused: "session_limit" }),
  );
  expect(calls).toEqual(Array(5).fill("admitSession"));
  const { sessions: there } = await accountOf(env, account).list({ limit: 9, cursor: null });
  expect(there).toHaveLength(2);
  for (const [i, one] of made.entries()) {
    expect((await tables(one)) > 0).toBe(answers[i]?.ok);
    // Repeated, each answers the same.
    expect((await one.create()).ok).toBe(answers[i]?.ok);
  }
});

test("a session is named, named anew and has its name taken away", async () => {
  const account = newAccountName();
  const session = await sessions.create({ account });
  const other = await sessions.create({ account });
  expect(refusalOf(await rename(session, "a"))).toBeNull();
  expect(await named(account, "a")).toEqual([session.id]);
  expect((await session.stub.describe())?.session.name).toBe("a");
  const before = (await other.rows()).length;
  expect(refusalOf(await rename(other, "a"))).toBe("name_taken");
  expect((await other.rows()).length, "a refusal writes nothing").toBe(before);
  expect(refusalOf(await rename(session, "b"))).toBeNull();
  expect(refusalOf(await rename(other, "a"))).toBeNull();
  expect(await named(account, "b")).toEqual([session.id]);
  expect(refusalOf(await rename(session, null))).toBeNull();
  expect(await named(account, "b")).toEqual([]);
  expect((await session.stub.describe())?.session.name).toBeNull();
  expect(session.reader.rows.filter(({ type }) => type === "session.updated")).toHaveLength(3);
});

test("a new name is found, and the old one free, once the change is answered, also while a turn runs", async () => {
  const account = newAccountName();
  const session = await sessions.create({ account });
  await rename(session, "a");
  const { reply, gate } = held({ block: 0, delta: 1 }, [text("Hello there")]);
  sessions.script(reply);
  const sent = await session.send("hi");
  await reached(gate);
  expect(refusalOf(await rename(session, "b"))).toBeNull();
  expect(await named(account, "b")).toEqual([session.id]);
  expect(await named(account, "a")).toEqual([]);
  await session.open(gate);
  await session.outcome(sent);
});

test("two sessions that take one name at once: one has it", async () => {
  const account = newAccountName();
  const both = [await sessions.create({ account }), await sessions.create({ account })];
  const answers = await Promise.all(both.map((session) => rename(session, "x")));
  expect(answers.map(refusalOf).toSorted()).toEqual(["name_taken", null]);
  const names = await Promise.all(
    both.map(async ({ stub }) => (await stub.describe())?.session.name),
  );
  const winner = both[answers.findIndex(({ ok }) => ok)];
  expect(await named(account, "x")).toEqual([winner?.id]);
  expect(names.filter((name) => name === "x")).toHaveLength(1);
});

test("a change of name that is sent again under its key answers the same, whose ever the name is", async () => {
  const account = newAccountName();
  const session = await sessions.create({ account });
  const other = await sessions.create({ account });
  const key = { id: "session k", hash: "h" };
  const first = await rename(session, "x", key);
  await rename(session, "y");
  await rename(other, "x");
  const again = await rename(session, "x", key);
  expect(again).toMatchObject({ ok: true, accepted: { replayed: true } });
  expect(first).toMatchObject({ ok: true, accepted: { replayed: false } });
  expect(await named(account, "x")).toEqual([other.id]);
  expect(await named(account, "y")).toEqual([session.id]);
});

test("a session that dies with a claimed name goes on, and takes it later", async () => {
  const account = newAccountName();
  const session = await sessions.create({ account });
  const other = await sessions.create({ account });
  // As it is when it died after the account had answered.
  await accountOf(env, account).claimName(session.id, "x");
  await session.crash();
  expect(refusalOf(await rename(other, "x"))).toBe("name_taken");
  expect(refusalOf(await rename(session, "x"))).toBeNull();
  expect(await named(account, "x")).toEqual([session.id]);
});

test("a session whose name went to another one while it could not report has none", async () => {
  const account = newAccountName();
  const session = await sessions.create({ account });
  const other = await sessions.create({ account });
  await session.inside((_, object) => withEnv(object, UNREACHABLE_BUT_FOR_NAMES));
  expect(refusalOf(await rename(session, "x"))).toBeNull();
  clock.advance(10 * 60_000);
  expect(refusalOf(await rename(other, "x"))).toBeNull();
  await session.reader.detach();
  await session.crash();
  await runAlarm(session);
  session.reader.attach();
  const row = await session.reader.row("session.updated", ({ body }) => body.config.name === null);
  expect(row.body.config).toEqual({ name: null });
  expect((await session.stub.describe())?.session.name).toBeNull();
  expect(await named(account, "x")).toEqual([other.id]);
});

test("a session that is deleted while it is told so is deleted all the same", async () => {
  const account = newAccountName();
  const session = await sessions.create({ account });
  const other = await sessions.create({ account });
  const instance = await session.inside((_, object) => {
    withEnv(object, UNREACHABLE_BUT_FOR_NAMES);
    return object;
  });
  expect(refusalOf(await rename(session, "x"))).toBeNull();
  clock.advance(10 * 60_000);
  expect(refusalOf(await rename(other, "x"))).toBeNull();
  let removed: Promise<boolean> | null = null;
  onFaultPoint((object, point) => {
    if (removed || point !== "reported" || object.id.name !== `${account}/${session.id}`) return;
    // The account has answered, and the session has not read it yet.
    removed = instance.remove("01HD");
  });
  await session.inside((_, object) => withEnv(object, {}));
  await runAlarm(session);
  onFaultPoint(null);
  expect((await session.rows()).at(-1)?.type).toBe("session.deleted");
  await expect(runDurableObjectAlarm(session.object)).rejects.toThrow("deleted");
  expect(await tables({ inside: (act) => session.inside(act) })).toBe(0);
});

test("name and first message reach the account, also what it did not hear before a crash", async () => {
  const account = newAccountName();
  const session = await sessions.create({ account });
  await rename(session, "x");
  await session.inside((_, object) => withEnv(object, UNREACHABLE));
  sessions.script(text("one"), text("two"));
  const long = `\n  Where is ${"🌒".repeat(200)}?`;
  const image = {
    type: "image" as const,
    source: { type: "base64" as const, media_type: "image/png", data: PIXEL },
  };
  await session.turn([image, { type: "text", text: " " }, { type: "text", text: long }]);
  await session.turn("and then?");
  await session.reader.detach();
  const known = async () =>
    (await accountOf(env, account).list({ limit: 1, cursor: null })).sessions[0];
  expect(await known()).toMatchObject({ name: "x", first_message: null, turn_count: 0 });
  await session.crash();
  await runAlarm(session);
  // 200 units would end inside the last moon.
  const first_message = `Where is ${"🌒".repeat(95)}`;
  expect(await known()).toMatchObject({ name: "x", first_message, turn_count: 2 });
});

test("the beginning of a long message is found wherever it stands in that", async () => {
  const account = newAccountName();
  const session = await sessions.create({ account });
  sessions.script(text("one"));
  await session.inside((_, object) => withEnv(object, UNREACHABLE));
  const submission = ulid();
  const sent: Submission = {
    v: 1,
    submission,
    command: {
      kind: "input",
      on_busy: "queue",
      limits: { plain: 8, tools: 4 },
      replay: false,
      hash: ulid(),
      options: { toolset: null, tool_choice: null, parallel_tool_calls: null },
      content: [
        // What is in memory of it is cut behind so many units.
        { type: "text", text: `${" ".repeat(PIECE_UNITS - 3)}Where${" it is".repeat(50)}` },
      ],
    },
  };
  await session.stub.stage(submission, 0, JSON.stringify(sent));
  const answer = await session.stub.submitStaged(submission, 1);
  if (!answer.ok) throw new Error(answer.refusal.code);
  await session.outcome(answer.accepted);
  await session.inside((_, object) => withEnv(object, {}));
  await runAlarm(session);
  const [known] = (await accountOf(env, account).list({ limit: 1, cursor: null })).sessions;
  expect(known?.first_message).toBe(`Where${" it is".repeat(50)}`.slice(0, 200));
});

/** One transparent pixel. */
const PIXEL =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII=";
