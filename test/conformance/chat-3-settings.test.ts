/** What a call of the Claude CLI server may ask for besides its prompt. */
import { describe, expect, test } from "vitest";
import { createGate } from "../../src/standin/gate.ts";
import { holdAt, reply, text, toolUse } from "../../src/standin/replies.ts";
import {
  get,
  idOf,
  inside,
  modelCall,
  newSession,
  rowsOf,
  serverWith,
  standin,
  withStandin,
} from "../api/cc/server.ts";
import { answered, frames, sessionPath, stream } from "../api/chat/client.ts";
import { reached } from "../support/sessions.ts";

withStandin();

const systemOf = (index: number): string =>
  (modelCall(index).system ?? []).map((block) => block.text).join("\n");

/** The result that the model was shown of its last tool call. */
const resultShown = (): string => JSON.stringify(modelCall(-1).messages.at(-1)?.content);

const file = async (session: string, path: string): Promise<number> =>
  (await get(`${session}/files/${path}`)).status;

describe("system_prompt", () => {
  test("replaces the server's own, and stays the session's", async () => {
    const server = serverWith({ CLAUDE_SYSTEM_PROMPT: "The server's prompt." });
    standin.script(text("One."), text("Two."), text("Three."));
    const plain = await server("POST", "/v1/chat", { prompt: "a" });
    expect(plain.status).toBe(200);
    expect(systemOf(-1)).toContain("The server's prompt.");
    const first = await server("POST", "/v1/chat", { prompt: "a", system_prompt: "Be a pirate." });
    const { session_id } = await first.json<{ session_id: string }>();
    expect(systemOf(-1)).toContain("Be a pirate.");
    expect(systemOf(-1)).not.toContain("The server's prompt.");
    await server("POST", "/v1/chat", { prompt: "b", session_id });
    expect(systemOf(-1)).toBe(systemOf(-2));
  });

  test("another one replaces it, and the conversation goes on", async () => {
    standin.script(text("Arr."), text("Meow."), text("Purr."));
    const { session_id } = await answered({ prompt: "a", system_prompt: "Be a pirate." });
    await answered({ prompt: "b", session_id, system_prompt: "Be a cat." });
    expect(systemOf(-1)).toContain("Be a cat.");
    expect(systemOf(-1)).not.toContain("pirate");
    expect(modelCall(-1).messages).toHaveLength(3);
    await answered({ prompt: "c", session_id });
    expect(systemOf(-1)).toContain("Be a cat.");
  });

  test("of three calls at once each has its own", async () => {
    const session = await newSession();
    const session_id = idOf(session);
    const gate = createGate();
    const first = reply({ blocks: [text("Ahoy.")], acts: [holdAt({ block: 0, delta: 1 }, gate)] });
    standin.script(first, text("One."), text("Two."), text("Three."), text("Four."));
    const running = answered({ prompt: "a", session_id, system_prompt: "Be a pirate." });
    await reached(gate);
    const animals = ["cat", "dog", "owl"];
    const waiting = await Promise.all(
      animals.map((one) =>
        stream({ prompt: `I call the ${one}.`, session_id, system_prompt: `Be a ${one}.` }),
      ),
    );
    await inside(session, () => gate.open());
    await Promise.all([running, ...waiting.map((response) => response.text())]);
    expect(systemOf(0)).toContain("Be a pirate.");
    const told = [1, 2, 3].map((index) => {
      const said = JSON.stringify(modelCall(index).messages.at(-1)?.content);
      const [, called] = /I call the (\w+)\./.exec(said) ?? [];
      expect(systemOf(index)).toContain(`Be a ${called}.`);
      return called;
    });
    expect(told.toSorted()).toEqual(animals);
    await answered({ prompt: "b", session_id });
    expect(systemOf(4)).toBe(systemOf(3));
  });

  test("the same one changes nothing", async () => {
    standin.script(text("Arr."), text("Arr!"));
    const first = await answered({ prompt: "a", system_prompt: "Be a pirate." });
    await answered({ prompt: "b", session_id: first.session_id, system_prompt: "Be a pirate." });
    expect(await rowsOf(sessionPath(first), "session.updated")).toEqual([]);
    expect(await rowsOf(sessionPath(first), "context.cut")).toEqual([]);
    const inputs = await rowsOf(sessionPath(first), "input");
    expect(JSON.stringify(inputs)).not.toContain("pirate");
  });
});

describe("model", () => {
  test("answers this call, under its short name too", async () => {
    standin.script(text("One."), text("Two."));
    const first = await answered({ prompt: "a", model: "haiku" });
    expect(first.model).toMatch(/^claude-haiku-/);
    expect(modelCall(-1).model).toBe(first.model);
    const list = await frames({ prompt: "b", model: "claude-opus-5" });
    expect(list[0]?.model).toBe("claude-opus-5");
    expect(modelCall(-1).model).toBe("claude-opus-5");
  });

  test("another one answers one call, and then the session's is back", async () => {
    standin.script(text("One."), text("Two."), text("Three."));
    const first = await answered({ prompt: "a" });
    const { session_id } = first;
    const second = await answered({ prompt: "b", session_id, model: "claude-opus-5" });
    const third = await answered({ prompt: "c", session_id });
    expect([first.model, second.model, third.model]).toEqual([
      "claude-sonnet-5-5",
      "claude-opus-5",
      "claude-sonnet-5-5",
    ]);
    expect([-3, -2, -1].map((i) => modelCall(i).model)).toEqual([
      "claude-sonnet-5-5",
      "claude-opus-5",
      "claude-sonnet-5-5",
    ]);
    expect(modelCall(-1).messages).toHaveLength(5);
  });
});

describe("max_budget_usd", () => {
  test("zero is a limit: nothing is called, and the answer says why", async () => {
    const answer = await answered({ prompt: "a", max_budget_usd: 0 });
    expect(answer).toMatchObject({ result: "", cost_usd: 0, outcome: "budget_reached" });
    expect(standin.requests).toHaveLength(0);
    const list = await frames({ prompt: "a", max_budget_usd: 0 });
    expect(list.at(-1)).toMatchObject({ type: "done", result: "", outcome: "budget_reached" });
  });

  test("holds for its call only", async () => {
    standin.script(text("Hello."));
    const { session_id } = await answered({ prompt: "a", max_budget_usd: 0 });
    expect(await answered({ prompt: "b", session_id })).toMatchObject({ result: "Hello." });
    const again = await answered({ prompt: "c", session_id, max_budget_usd: 0 });
    expect(again.outcome).toBe("budget_reached");
  });

  test("without one the server's holds", async () => {
    const server = serverWith({ CLAUDE_MAX_COST_PER_REQUEST: "0.000001" });
    const response = await server("POST", "/v1/chat", { prompt: "a" });
    expect(await response.json()).toMatchObject({ outcome: "budget_reached" });
    standin.script(text("Hello."));
    const own = await server("POST", "/v1/chat", { prompt: "a", max_budget_usd: 5 });
    expect(await own.json()).toMatchObject({ result: "Hello." });
  });
});

describe("permission_mode and allowed_tools", () => {
  const write = toolUse("Write", { file_path: "a.txt", content: "A" });
  const shell = toolUse("Bash", { command: "git init x" });

  test.each([
    // mode, allowed tools, the call, whether it runs
    [null, null, write, true],
    ["default", null, write, true],
    ["auto", null, shell, true],
    ["acceptEdits", null, shell, true],
    ["bypassPermissions", ["Read"], shell, true],
    ["plan", null, write, false],
    ["dontAsk", null, write, false],
    ["dontAsk", ["Write"], write, true],
    [null, ["Read"], write, false],
    [null, ["Read", "Write"], write, true],
    [null, ["Bash(git *)"], shell, true],
    [null, ["Bash(git:*)"], shell, true],
    [null, ["Bash(npm *) Edit"], shell, false],
    [null, "Read,Write", write, true],
    ["default", ["Read"], write, false],
    ["acceptEdits", ["Read"], write, true],
    ["acceptEdits", ["Read"], shell, false],
  ])("in the mode %s with %j: %j runs: %s", async (permission_mode, allowed_tools, call, runs) => {
    standin.script(call, text("Done."));
    const answer = await answered({ prompt: "Go", permission_mode, allowed_tools });
    expect(answer.result).toBe("Done.");
    const [ended] = await rowsOf(sessionPath(answer), "tool.ended");
    expect(ended?.body).toMatchObject({
      status: runs ? "ok" : expect.stringMatching(/error|denied/),
    });
  });

  test("hold for their call only", async () => {
    standin.script(write, text("Not yet."), write, text("Done."));
    const first = await answered({ prompt: "a", permission_mode: "plan" });
    expect(await file(sessionPath(first), "a.txt")).toBe(404);
    await answered({ prompt: "b", session_id: first.session_id });
    expect(await file(sessionPath(first), "a.txt")).toBe(200);
  });

  test("lift no denial of the server's or the session's owner", async () => {
    const server = serverWith({ CLAUDE_DISALLOWED_TOOLS: "Write" });
    standin.script(write, text("Denied."), write, text("Denied."));
    const mode = { permission_mode: "bypassPermissions", allowed_tools: ["Write"] };
    const own = await server("POST", "/v1/chat", { prompt: "a", ...mode });
    const { session_id } = await own.json<{ session_id: string }>();
    expect(resultShown()).toContain("denied");
    expect(await file(sessionPath({ session_id }), "a.txt")).toBe(404);
    const session = await newSession({ permissions: { deny: ["Write"] } });
    await answered({ prompt: "a", session_id: idOf(session), ...mode });
    expect(await file(session, "a.txt")).toBe(404);
  });

  test("nobody is asked, also in a session whose own mode would ask", async () => {
    const session = await newSession({ permissions: { mode: "default", ask: ["Bash"] } });
    standin.script(write, shell, text("Done."));
    const answer = await answered({ prompt: "a", session_id: idOf(session) });
    expect(answer).toMatchObject({ result: "Done." });
    expect(await rowsOf(session, "tool.ended")).toMatchObject([
      { body: { status: "ok" } },
      { body: { status: "error" } },
    ]);
  });
});

describe("cwd", () => {
  const here = toolUse("Write", { file_path: "here.txt", content: "H" });

  test.each([
    ["/home/me/project", "home/me/project"],
    ["/workspace/src", "src"],
    ["src/lib/", "src/lib"],
    ["./a/../b", "b"],
    ["../../etc", "etc"],
    ["~/notes", "notes"],
    ["C:\\work", "C:\\work"],
    ["/", "."],
    [".", "."],
    ["~", "."],
  ])("%s is the folder %s of the workspace, and is made", async (cwd, folder) => {
    standin.script(text("Hello."), toolUse("Bash", { command: "pwd" }), here, text("Done."));
    const first = await answered({ prompt: "Hi", cwd });
    // What is no file is a conflict; the root is always there.
    const made = encodeURIComponent(folder);
    if (folder !== ".") expect(await file(sessionPath(first), made)).toBe(409);
    await answered({ prompt: "Go", session_id: first.session_id });
    const place = folder === "." ? "" : `/${folder}`;
    const shown = JSON.stringify(modelCall(-2).messages.at(-1)?.content);
    expect(shown).toContain(JSON.stringify(`/workspace${place}`).slice(1, -1));
    const path = encodeURIComponent(`${place}/here.txt`.slice(1));
    expect(await file(sessionPath(first), path)).toBe(200);
  });

  test("stays until another call has another one", async () => {
    const pwd = toolUse("Bash", { command: "pwd" });
    standin.script(pwd, text("One."), pwd, text("Two."), pwd, text("Three."));
    const { session_id } = await answered({ prompt: "a", cwd: "one" });
    await answered({ prompt: "b", session_id });
    expect(resultShown()).toContain("/workspace/one");
    await answered({ prompt: "c", session_id, cwd: "two" });
    expect(resultShown()).toContain("/workspace/two");
  });

  test("a file cannot be one", async () => {
    standin.script(toolUse("Write", { file_path: "a.txt", content: "A" }), text("Done."));
    const { session_id } = await answered({ prompt: "a" });
    const server = serverWith({});
    const response = await server("POST", "/v1/chat", { prompt: "b", session_id, cwd: "a.txt" });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: expect.stringMatching(/^body -> cwd: /) });
  });
});
