/** Which of the API's own tools a session is created with. */
import { expect, test } from "vitest";
import { text } from "../../../src/standin/replies.ts";
import { modelCall, newSession, post, serverWith, standin, withStandin } from "./server.ts";

withStandin();

test("SERVER_TOOLS says which ones a deployment offers", async () => {
  const names = async (value: string): Promise<string[]> => {
    const response = await serverWith({ SERVER_TOOLS: value })("POST", "/api/sessions", {});
    const { id } = await response.json<{ id: string }>();
    standin.script(text("ok"));
    expect((await post(`/api/sessions/${id}/turns`, { input: "hi" })).status).toBe(200);
    const names = modelCall(-1).tools?.map(({ name }) => name) ?? [];
    return names.filter((name) => name === "web_search" || name === "code_execution");
  };
  expect(await names("none")).toEqual([]);
  expect(await names("code_execution")).toEqual(["code_execution"]);
  expect(await names("code_execution,web_search")).toEqual(["web_search", "code_execution"]);
  const wrong = await serverWith({ SERVER_TOOLS: "web_fetch" })("POST", "/api/sessions", {});
  expect(wrong.status).toBe(503);
  expect(await wrong.text()).toContain("SERVER_TOOLS");
});

test("what a session may do decides what it is offered", async () => {
  const path = await newSession({
    permissions: { mode: "bypassPermissions", deny: ["WebSearch"] },
  });
  standin.script(text("ok"));
  await post(`${path}/turns`, { input: "hi" });
  const names = modelCall(-1).tools?.map(({ name }) => name);
  expect(names).not.toContain("web_search");
  expect(names).toContain("code_execution");
});
