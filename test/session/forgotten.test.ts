/** A deleted session is forgotten: nothing that its user wrote is anywhere, and what it cost stays. */
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, expect, test } from "vitest";
import { accountOf } from "../../src/account/client.ts";
import { text, toolUse } from "../../src/standin/replies.ts";
import { builtinToolset } from "../../src/tools/registry.ts";
import { FAR_FUTURE, FakeClock } from "../support/fake-clock.ts";
import { runAlarm, type TestSession, useSessions } from "../support/sessions.ts";

const sessions = useSessions();
const DAY = 24 * 60 * 60_000;
/** In everything that the user writes. */
const PLANTED = "quetzalcoatl";

let clock: FakeClock;
beforeEach(() => {
  clock = new FakeClock(FAR_FUTURE);
  Object.assign(env, { SESSION_TIMEOUT_HOURS: "24" });
});
afterEach(() => {
  clock.restore();
  Reflect.deleteProperty(env, "SESSION_TIMEOUT_HOURS");
});

/** The tables of an object in which the planted text stands, in whatever column. */
function planted({ storage }: DurableObjectState): string[] {
  const { sql } = storage;
  const tables = sql
    .exec<{ name: string }>("SELECT name FROM sqlite_master WHERE type = 'table'")
    .toArray()
    .map(({ name }) => name)
    .filter((name) => !name.startsWith("_cf_"));
  const decoder = new TextDecoder();
  const shown = (value: SqlStorageValue) =>
    value instanceof ArrayBuffer ? decoder.decode(value) : String(value);
  return tables.filter((name) =>
    sql
      .exec(`SELECT * FROM "${name}"`)
      .toArray()
      .some((row) => Object.values(row).some((value) => shown(value).includes(PLANTED))),
  );
}

const inAccount = ({ account }: TestSession): Promise<string[]> =>
  runInDurableObject(env.ACCOUNT.getByName(account), (_, state) => planted(state));

const inSession = (session: TestSession): Promise<string[]> => session.inside(planted);

/** A session that has stored something of everything, some of it twice and some of it half. */
async function filled(account: string): Promise<TestSession> {
  const session = await sessions.create({ account, tools: builtinToolset(), system: PLANTED });
  const client = accountOf(env, account);
  await client.reserve("sessions k", "hash", session.id, clock.now);
  await session.update({ name: `first ${PLANTED}` });
  await session.update({
    name: PLANTED,
    title: `title ${PLANTED}`,
    metadata: { [PLANTED]: [PLANTED] },
  });
  await client.claimName(session.id, `claimed ${PLANTED}`);
  sessions.script(
    toolUse("Write", { file_path: `${PLANTED}.txt`, content: PLANTED }),
    text(`I wrote ${PLANTED}`),
  );
  const key = { id: `turns ${PLANTED}`, hash: "hash" };
  await session.turn(`write ${PLANTED} ${"long ".repeat(500_000)}`, { key });
  const bytes = Uint8Array.from(new TextEncoder().encode(PLANTED));
  await session.stub.putMedia("0".repeat(64), 0, bytes.buffer);
  const once = { key: `files ${PLANTED}`, hash: "hash" };
  await session.stub.files("directory", { path: PLANTED, once });
  await session.stub.stage("01HS", 0, `{"title": "${PLANTED}`);
  await session.reader.detach();
  return session;
}

test.each(["by its user", "by its time"])("a session that is deleted %s", async (how) => {
  const session = await filled(`acct_forgotten_${how.replaceAll(" ", "_")}`);
  expect(await inAccount(session)).toEqual(["session", "name", "claim"]);
  const stored = ["log", "part", "media", "key", "seen", "file_answer", "vfs_dirents"];
  expect(await inSession(session)).toEqual(expect.arrayContaining(stored));

  if (how === "by its user") await session.stub.remove("01HD");
  else {
    clock.advance(2 * DAY);
    await runAlarm(session);
  }
  expect(await inAccount(session)).toEqual([]);
  await expect(runDurableObjectAlarm(session.object)).rejects.toThrow("deleted");
  expect(await inSession(session)).toEqual([]);
  const left = await session.inside(({ storage }) =>
    storage.sql
      .exec("SELECT name FROM sqlite_master WHERE name NOT LIKE '\\_%' ESCAPE '\\'")
      .toArray(),
  );
  expect(left).toEqual([]);
  expect(await session.stub.createStaged("01HS", 1)).toEqual({ ok: false, missing: true });

  const client = accountOf(env, session.account);
  const { sessions: listed } = await client.list({ limit: 9, cursor: null });
  expect(listed).toEqual([]);
  const period = { group: "session" as const, from: 0, to: 100_000, limit: 9, cursor: null };
  expect((await client.usage(period)).rows).toMatchObject([{ calls: 2 }]);
});
