/** What the tools may do under `/api/v1`: modes, lists of tools, and files of nobody else. */
import { expect, test } from "vitest";
import { text, toolUse } from "../../src/standin/replies.ts";
import { modelCall, serverWith, standin, withStandin } from "../api/cc/server.ts";
import { BASE, chat, dataOf, get, newSession, post, problemOf } from "../api/code/client.ts";

withStandin();

const write = (path = "a.txt") => toolUse("Write", { file_path: path, content: "a" });

/** What the model is told of the one call that it makes. */
async function resultOf(
  session: string,
  call: ReturnType<typeof toolUse>,
  more: object = {},
): Promise<{ error: boolean; text: string }> {
  standin.reset();
  standin.script(call, text("Ok."));
  expect((await chat(session, "Go", more)).content).toBe("Ok.");
  const result = modelCall(1)
    .messages.at(-1)
    ?.content.find(({ type }) => type === "tool_result");
  return { error: result?.is_error === true, text: JSON.stringify(result?.content) };
}

test.each([null, "default", "auto", "acceptEdits", "bypassPermissions", "unheard-of"])(
  "with the mode %j every tool runs, and nobody is asked",
  async (permission_mode) => {
    const session = await newSession({ permission_mode });
    for (const call of [
      write(),
      toolUse("Bash", { command: "echo hi > b.txt" }),
      toolUse("Edit", { file_path: "a.txt", old_string: "a", new_string: "b" }),
    ]) {
      expect(await resultOf(session, call)).toMatchObject({ error: false });
    }
    expect(await dataOf<unknown[]>(get(`${session}/files`))).toHaveLength(2);
  },
);

test("plan reads and changes nothing", async () => {
  const session = await newSession({ permission_mode: "plan" });
  expect(await resultOf(session, toolUse("LS", { path: "." }))).toMatchObject({ error: false });
  expect(await resultOf(session, write())).toMatchObject({
    error: true,
    text: expect.stringContaining("Plan mode"),
  });
  expect(await dataOf(get(`${session}/files`))).toEqual([]);
});

test("a message may have a mode of its own, and the next one has the session's again", async () => {
  const session = await newSession();
  const plan = { permission_mode: "plan" };
  expect(await resultOf(session, write(), plan)).toMatchObject({ error: true });
  expect(await resultOf(session, write())).toMatchObject({ error: false });
  const planned = await newSession(plan);
  const free = { permission_mode: "bypassPermissions" };
  expect(await resultOf(planned, write("b.txt"), free)).toMatchObject({ error: false });
  expect(await resultOf(planned, write("c.txt"))).toMatchObject({ error: true });
});

test("what is on the list of disallowed tools does not run, in any mode", async () => {
  for (const permission_mode of [null, "bypassPermissions"]) {
    const session = await newSession({
      permission_mode,
      disallowed_tools: "Bash(rm:*), Edit(secret/**)",
    });
    const removal = toolUse("Bash", { command: "rm a.txt" });
    expect(await resultOf(session, write())).toMatchObject({ error: false });
    expect(await resultOf(session, removal)).toMatchObject({ error: true });
    expect(await resultOf(session, write("secret/b.txt"))).toMatchObject({ error: true });
    expect(await resultOf(session, toolUse("Bash", { command: "ls" }))).toMatchObject({
      error: false,
    });
  }
});

test("with a list of allowed tools only these run, besides what merely reads", async () => {
  const session = await newSession({ allowed_tools: "Read,Bash(echo *)" });
  expect(await resultOf(session, toolUse("LS", { path: "." }))).toMatchObject({ error: false });
  expect(await resultOf(session, toolUse("Bash", { command: "echo hi" }))).toMatchObject({
    error: false,
  });
  const denied = await resultOf(session, write());
  expect(denied).toMatchObject({ error: true, text: expect.stringContaining("Permission") });
  // Also where a message asks for a mode that would ask.
  expect(await resultOf(session, write(), { permission_mode: "default" })).toMatchObject({
    error: true,
  });
});

test("the owner's own denials hold in every session", async () => {
  const server = serverWith({ CLAUDE_DISALLOWED_TOOLS: "Write" });
  const name = `owned-${crypto.randomUUID()}`;
  const body = { name, permission_mode: "bypassPermissions", disallowed_tools: "Edit" };
  expect((await server("POST", `${BASE}/sessions`, body)).status).toBe(201);
  expect(await resultOf(`${BASE}/sessions/${name}`, write())).toMatchObject({ error: true });
});

test("what is no rule is refused, so that no denial is lost", async () => {
  for (const [field, value] of [
    ["disallowed_tools", "Bash(rm *), Web Fetch"],
    ["allowed_tools", "Bash()"],
  ] as const) {
    const problem = await problemOf(post(`${BASE}/sessions`, { name: "x", [field]: value }));
    expect(problem.errors).toMatchObject([{ field: `body -> ${field}`, type: "value_error" }]);
  }
  expect(
    (await newSession({ allowed_tools: " Read , , Write,", disallowed_tools: "" })).length,
  ).toBeGreaterThan(1);
});

test.each(["../../etc/passwd", "/etc/passwd", "/workspace/../x"])(
  "no tool reaches %j",
  async (file_path) => {
    const session = await newSession({ permission_mode: "bypassPermissions" });
    for (const name of ["Read", "Write", "Edit", "LS", "Glob", "Grep"]) {
      const input = {
        Read: { file_path },
        Write: { file_path, content: "x" },
        Edit: { file_path, old_string: "a", new_string: "b" },
        LS: { path: file_path },
        Glob: { pattern: "*", path: file_path },
        Grep: { pattern: "root", path: file_path },
      }[name];
      expect(await resultOf(session, toolUse(name, input ?? {}))).toMatchObject({ error: true });
    }
  },
);

test("max_turns of the session limits the model calls of a turn; else it is 25", async () => {
  const session = await newSession({ max_turns: 2 });
  standin.script(toolUse("LS", { path: "." }), toolUse("LS", { path: "." }));
  expect(await chat(session, "Go")).toMatchObject({ outcome: "max_turns" });
  expect(standin.requests).toHaveLength(2);
  standin.reset();
  const other = await newSession();
  standin.script(...Array(25).fill(toolUse("LS", { path: "." })));
  expect(await chat(other, "Go")).toMatchObject({ outcome: "max_turns" });
  expect(standin.requests).toHaveLength(25);
  standin.reset();
  const server = serverWith({ CLAUDE_MAX_TURNS: "3" });
  standin.script(...Array(3).fill(toolUse("LS", { path: "." })));
  expect(await dataOf(server("POST", `${other}/chat`, { message: "Go" }))).toMatchObject({
    outcome: "max_turns",
  });
});
