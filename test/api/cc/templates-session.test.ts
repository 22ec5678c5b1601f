/** Sessions that are made from templates. */
import { expect, test } from "vitest";
import type { JsonObject } from "../../../src/shared/content.ts";
import { text, toolUse } from "../../../src/standin/replies.ts";
import { modelCall, send, serverWith, standin, withStandin } from "./server.ts";
import { client } from "./templates-support.ts";

withStandin();

/** A session from a body, in an account with the template `mine`. */
async function made(
  template: JsonObject,
  body: JsonObject,
  variables: Record<string, string> = {},
) {
  const { ask, headers } = await client();
  expect((await ask("PUT", "/mine", template)).status).toBe(200);
  const server = serverWith(variables);
  const response = await server("POST", "/api/sessions", { template: "mine", ...body }, headers);
  expect(response.status).toBe(201);
  const session = await response.json<JsonObject>();
  const turn = (input: string) =>
    server("POST", `/api/sessions/${String(session.id)}/turns`, { input }, headers);
  return { session, turn };
}

const TEMPLATE = {
  system_prompt: "You are from the template.",
  model: "claude-opus-4-6",
  effort: "low",
  permission_mode: "plan",
  allowed_tools: "Read,Bash(git *)",
  disallowed_tools: "WebFetch",
};

test("a session takes what its template says, and the model hears of it", async () => {
  const { session, turn } = await made(TEMPLATE, {});
  expect(session).toMatchObject({
    system_prompt: TEMPLATE.system_prompt,
    model: "claude-opus-4-6",
    effort: "low",
    permissions: { mode: "plan", allow: ["Read", "Bash(git *)"], ask: [], deny: ["WebFetch"] },
  });
  standin.script(text("Hello."));
  expect((await turn("Hello")).status).toBe(200);
  const call = modelCall(0);
  expect(JSON.stringify(call.system)).toContain("You are from the template.");
  expect(call).toMatchObject({ model: "claude-opus-4-6", output_config: { effort: "low" } });
});

test("what the request says wins over the template, and that over the configuration", async () => {
  const CONFIGURED = {
    CLAUDE_SYSTEM_PROMPT: "Configured.",
    CLAUDE_EFFORT: "high",
    CLAUDE_PERMISSION_MODE: "acceptEdits",
    CLAUDE_ALLOWED_TOOLS: "Write",
    CLAUDE_DISALLOWED_TOOLS: "Bash",
  };
  const asked = {
    system_prompt: "Asked.",
    model: "claude-sonnet-5-5",
    effort: "max",
    permissions: { mode: "dontAsk" },
  };
  const first = await made(TEMPLATE, asked, CONFIGURED);
  expect(first.session).toMatchObject({
    ...asked,
    permissions: { mode: "dontAsk", allow: [], ask: [], deny: [] },
  });
  // A template lifts no denial of the server's owner.
  const second = await made(TEMPLATE, {}, CONFIGURED);
  expect(second.session).toMatchObject({
    system_prompt: TEMPLATE.system_prompt,
    effort: "low",
    permissions: {
      mode: "plan",
      allow: ["Read", "Bash(git *)"],
      ask: [],
      deny: ["Bash", "WebFetch"],
    },
  });
  const third = await made({ description: "Says nothing." }, { system_prompt: null }, CONFIGURED);
  expect(third.session).toMatchObject({
    system_prompt: "Configured.",
    effort: "high",
    permissions: { mode: "acceptEdits", allow: ["Write"], ask: [], deny: ["Bash"] },
  });
});

test("a template limits the model calls of a turn", async () => {
  const { turn } = await made({ max_turns: 1 }, {});
  standin.script(toolUse("Bash", { command: "pwd" }));
  expect(await (await turn("Where?")).json()).toMatchObject({ outcome: "max_turns" });
});

test("a session keeps what it took when its template changes, also when its creation is repeated", async () => {
  const { ask, headers } = await client();
  await ask("PUT", "/mine", { system_prompt: "First." });
  const create = () =>
    send("POST", "/api/sessions", { template: "mine" }, { ...headers, "idempotency-key": "k" });
  const first = await (await create()).json<JsonObject>();
  expect((await ask("DELETE", "/mine")).status).toBe(200);
  await ask("PUT", "/mine", { system_prompt: "Second." });
  const again = await (await create()).json<JsonObject>();
  expect([again.id, again.system_prompt]).toEqual([first.id, "First."]);
});

test.each(["nothing", "", "Docs", "__proto__", "x".repeat(65)])(
  "a session from the template %j is refused",
  async (template) => {
    const { headers } = await client();
    const response = await send("POST", "/api/sessions", { template }, headers);
    expect(await response.json()).toMatchObject({
      status: 422,
      errors: [{ field: "body -> template", type: "unknown_template" }],
    });
    const list = await send("GET", "/api/sessions", undefined, headers);
    expect(await list.json()).toMatchObject({ data: [] });
  },
);
