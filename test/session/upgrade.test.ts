/** A session that an older version wrote. */
import { expect, test } from "vitest";
import { FORMAT_VERSION } from "../../src/session/schema.ts";
import { text, toolUse } from "../../src/standin/replies.ts";
import { builtinToolset } from "../../src/tools/registry.ts";
import { type TestSession, toolset, useSessions } from "../support/sessions.ts";

const sessions = useSessions();

const head = (session: TestSession) =>
  session.inside((state) => {
    const { sql } = state.storage;
    const row = sql.exec<{ version: number; state: string }>("SELECT version, state FROM head");
    const { version, state: folded } = row.one();
    return { version, state: JSON.parse(folded) as object };
  });

test("a head of an older format is computed again from the log, and the missing table is made", async () => {
  const session = await sessions.create();
  sessions.script(toolUse("a", {}), text("one"), text("two"));
  await session.turn("hi", { tools: toolset("a") });
  await session.results({ call_3_0: "x" });
  const first = await session.reader.row("outcome", ({ body }) => body.outcome === "completed");
  expect(first).toBeDefined();
  const before = await head(session);
  await session.inside((state) => {
    const { sql } = state.storage;
    sql.exec("DROP TABLE seen");
    sql.exec("UPDATE head SET version = 1, state = ?", JSON.stringify({ seq: 1, v: "old" }));
  });
  await session.crash();
  expect(await session.turn("again")).toMatchObject({ outcome: "completed" });
  const roles = sessions.messages(2).map(({ role }) => role);
  expect(roles).toEqual(["user", "assistant", "user", "assistant", "user", "system"]);
  const after = await head(session);
  expect(after.version).toBe(FORMAT_VERSION);
  expect(Object.keys(after.state)).toEqual(Object.keys(before.state));
});

test("such a session may use what only the new format has", async () => {
  const session = await sessions.create({ tools: builtinToolset() });
  await session.inside((state) => {
    state.storage.sql.exec("DROP TABLE seen");
    state.storage.sql.exec("UPDATE head SET version = 1, state = '{}'");
  });
  await session.crash();
  const edit = { file_path: "a", old_string: "1", new_string: "2" };
  sessions.script(
    [toolUse("Write", { file_path: "a", content: "1" }), toolUse("Edit", edit)],
    text("done"),
  );
  expect(await session.turn("go")).toMatchObject({ outcome: "completed" });
});
