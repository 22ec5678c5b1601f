/** What a session is created with besides its prompt and tools. */
import { env } from "cloudflare:workers";
import { expect, test } from "vitest";
import { accountOf } from "../../src/account/client.ts";
import type { CodeSettings } from "../../src/shared/code-settings.ts";
import { text, toolUse } from "../../src/standin/replies.ts";
import { builtinToolset } from "../../src/tools/registry.ts";
import { toolset, useSessions } from "../support/sessions.ts";

const sessions = useSessions();
const A = toolset("a");
const LIMITS = { plain: 8, tools: 4 };

const CODE: CodeSettings = {
  user_id: "ann",
  template: "reviewer",
  permission_mode: "plan",
  effort: "high",
  allowed_tools: "Read,Grep",
  disallowed_tools: null,
  model: "sonnet",
  system_prompt: "Be brief.",
  max_turns: 2,
};

const listed = async (account: string) =>
  (await accountOf(env, account).list({ limit: 9, cursor: null })).sessions;

test("a session says under which API it was made, to its account as well", async () => {
  const account = "acct_surfaces";
  for (const surface of [undefined, "code", "chat"] as const) {
    const session = await sessions.create({ account, ...(surface ? { surface } : {}) });
    const described = await session.stub.describe();
    expect(described?.session.surface).toBe(surface ?? "cc");
    expect(described?.code).toBeNull();
  }
  const found = (await listed(account)).map(({ surface, user_id }) => [surface, user_id]);
  expect(found.sort()).toEqual([
    ["cc", undefined],
    ["chat", undefined],
    ["code", undefined],
  ]);
});

test("what claude-code-api was told is told again, and its account knows the label", async () => {
  const account = "acct_code";
  const config = { code: CODE, max_turns: 2, cwd: "/workspace/a" };
  const session = await sessions.create({ account, surface: "code", config });
  await session.crash();
  expect(await session.stub.describe()).toMatchObject({
    session: { surface: "code" },
    code: CODE,
    max_turns: 2,
    cwd: "/workspace/a",
  });
  expect(await listed(account)).toMatchObject([{ surface: "code", user_id: "ann" }]);
});

test("a session's limit of model calls beats the configuration's, and is decided with the message", async () => {
  const session = await sessions.create({ tools: builtinToolset(), config: { max_turns: 2 } });
  const look = toolUse("LS", {});
  sessions.script(look, look);
  const own = await session.turn("go", { limits: LIMITS });
  expect(own).toMatchObject({ outcome: "max_turns", totals: { calls: 2 } });
  sessions.script(toolUse("a", {}), text("done"));
  await session.turn("go", { tools: A, limits: LIMITS });
  const [call = ""] = await session.pending();
  await session.outcome(await session.results({ [call]: "x" }, { limits: LIMITS }));
  const limits = session.reader.rows.flatMap((row) =>
    row.type === "input" || row.type === "turn.resumed" ? [row.body.limits.max_turns] : [],
  );
  expect(limits).toEqual([2, 2, 2]);
});

test("questions that are answered go on under it, with the turn's model", async () => {
  const session = await sessions.create({
    tools: builtinToolset(),
    permissions: { mode: "default", allow: [], ask: [], deny: [] },
    config: { max_turns: 2 },
  });
  sessions.script(toolUse("Write", { file_path: "a", content: "1" }), text("done"));
  const sent = { model: { id: "claude-opus-5-5" }, cwd: "/workspace/b", limits: LIMITS };
  const { pending } = await session.turn("go", sent);
  const answers = pending.map(({ id }) => ({ tool: id, allow: true }));
  await session.outcome(await session.confirm(answers, { limits: LIMITS }));
  const resumed = session.reader.rows.find((row) => row.type === "turn.resumed");
  expect(resumed?.body).toMatchObject({
    limits: { max_turns: 2 },
    options: { model: { id: "claude-opus-5-5" } },
  });
  expect(resumed?.body).not.toHaveProperty("options.cwd");
  expect(JSON.stringify(sessions.asked(1))).toContain("/workspace/b/a");
});

test("it may be greater as well, and without one the configuration's hold", async () => {
  const wide = await sessions.create({ tools: builtinToolset(), config: { max_turns: 3 } });
  const look = toolUse("LS", {});
  sessions.script(look, look, look);
  const limits = { plain: 2, tools: 2 };
  expect(await wide.turn("go", { limits })).toMatchObject({ totals: { calls: 3 } });
  for (const max_turns of [null, undefined]) {
    const config = max_turns === undefined ? {} : { max_turns };
    const plain = await sessions.create({ tools: builtinToolset(), config });
    sessions.script(look, look);
    expect(await plain.turn("go", { limits })).toMatchObject({
      outcome: "max_turns",
      totals: { calls: 2 },
    });
    expect((await plain.stub.describe())?.max_turns).toBeNull();
  }
});
