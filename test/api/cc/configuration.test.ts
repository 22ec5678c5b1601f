/** What the configuration gives to sessions that say nothing of it themselves. */
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, expect, type MockInstance, test, vi } from "vitest";
import type { Session } from "../../../src/session/session.ts";
import { writeFrom, writeLine } from "../../../src/shared/log-line.ts";
import { compaction, httpError, text, toolUse } from "../../../src/standin/replies.ts";
import { API, large } from "../../support/compactions.ts";
import { FAR_FUTURE, FakeClock } from "../../support/fake-clock.ts";
import { held, reached, useSessions } from "../../support/sessions.ts";
import { functionTool, get, inside, modelCall, post, serverWith } from "./server.ts";

const sessions = useSessions();

/** The path of a session that is created under these variables. */
async function created(variables: Record<string, string>, body: object = {}): Promise<string> {
  const response = await serverWith(variables)("POST", "/api/sessions", body);
  expect(response.status).toBe(201);
  return `/api/sessions/${(await response.json<{ id: string }>()).id}`;
}

async function turn(session: string, input = "hi"): Promise<Record<string, unknown>> {
  return (await post(`${session}/turns`, { input })).json();
}

/** The parameters of the model call that a turn of the session makes. */
async function asked(variables: Record<string, string>, body: object = {}) {
  const session = await created(variables, body);
  sessions.script(text("ok"));
  await turn(session);
  const { system = [], output_config } = modelCall(-1) as {
    system?: { text: string }[];
    output_config?: { effort?: string };
  };
  return {
    model: modelCall(-1).model,
    system: system.map(({ text }) => text).join("\n"),
    effort: output_config?.effort ?? null,
  };
}

test("CLAUDE_MODEL is the model of a session that names none", async () => {
  const variables = { CLAUDE_MODEL: "claude-opus-5" };
  expect(await asked(variables)).toMatchObject({ model: "claude-opus-5" });
  expect(await asked(variables, { model: "claude-sonnet-5-5" })).toMatchObject({
    model: "claude-sonnet-5-5",
  });
});

test("CLAUDE_SYSTEM_PROMPT is the prompt of a session that brings none, and an empty one is none", async () => {
  const variables = { CLAUDE_SYSTEM_PROMPT: "Speak like a captain." };
  expect((await asked(variables)).system).toMatch(/^Speak like a captain\./);
  expect((await asked(variables, { system_prompt: null })).system).toContain("captain");
  expect((await asked(variables, { system_prompt: "" })).system).not.toContain("captain");
  expect((await asked(variables, { system_prompt: "Be brief." })).system).toMatch(/^Be brief\./);
});

test("CLAUDE_EFFORT is the effort of a session that says nothing of it", async () => {
  expect(await asked({ CLAUDE_EFFORT: "low" })).toMatchObject({ effort: "low" });
  expect(await asked({ CLAUDE_EFFORT: "low" }, { effort: "high" })).toMatchObject({
    effort: "high",
  });
  const session = await created({ CLAUDE_EFFORT: "low" });
  expect(await (await get(session)).json()).toMatchObject({ effort: "low" });
});

test("CLAUDE_MAX_TURNS limits the model calls of a turn with built-in tools", async () => {
  const server = serverWith({ CLAUDE_MAX_TURNS: "1" });
  const session = await created({});
  sessions.script(toolUse("LS", { path: "." }));
  const response = await server("POST", `${session}/turns`, { input: "hi" });
  expect(await response.json()).toMatchObject({ outcome: "max_turns" });
});

test("CC_API_MAX_TURNS and CC_API_TOOL_MAX_TURNS limit the turns with those tools", async () => {
  const built = await created({});
  const plain = serverWith({ CC_API_MAX_TURNS: "1", CC_API_TOOL_MAX_TURNS: "9" });
  sessions.script(toolUse("LS", { path: "." }));
  const first = await plain("POST", `${built}/turns`, { input: "hi" });
  expect(await first.json()).toMatchObject({ outcome: "max_turns" });

  const own = await created({}, { tools: [functionTool("look")] });
  const tools = serverWith({ CC_API_MAX_TURNS: "9", CC_API_TOOL_MAX_TURNS: "1" });
  // A tool that was not offered is answered at once, so the next step is a model call.
  sessions.script(toolUse("other", {}));
  const second = await tools("POST", `${own}/turns`, { input: "hi" });
  expect(await second.json()).toMatchObject({ outcome: "max_turns" });
});

test("CLAUDE_TIMEOUT_SECONDS is how long a JSON answer waits", async () => {
  const clock = new FakeClock(FAR_FUTURE);
  try {
    const session = await created({});
    const { reply, gate } = held({ block: 0, delta: 1 }, [text("Hello there.")]);
    sessions.script(reply);
    const waits = clock.nextTimer(7_000);
    const server = serverWith({ CLAUDE_TIMEOUT_SECONDS: "7" });
    const answer = server("POST", `${session}/turns`, { input: "hi" });
    await Promise.all([waits, reached(gate)]);
    clock.advance(7_000);
    expect((await answer).status).toBe(504);
    await inside(session, () => gate.open());
    const { data } = await (await get(`${session}/events?type=turn.completed&wait=25`)).json<{
      data: unknown[];
    }>();
    expect(data).toHaveLength(1);
  } finally {
    clock.restore();
  }
});

test("COMPACT_AT_PERCENT is how full a model's window may be", async () => {
  const session = await sessions.create({ model: API });
  await session.inside((_, object) => {
    const value = { ...env, COMPACT_AT_PERCENT: "50" };
    Object.defineProperty(object, "env", { value });
  });
  sessions.script(large("one", 700_000), compaction("One."), text("two"));
  await session.turn("one");
  await session.turn("two");
  expect(await session.reader.row("context.compacted")).toBeDefined();
});

const write = () => toolUse("Write", { file_path: "a.txt", content: "a" });

async function fileOf(session: string): Promise<number> {
  return (await get(`${session}/files/a.txt`)).status;
}

test("CLAUDE_PERMISSION_MODE and CLAUDE_ALLOWED_TOOLS say what is asked for", async () => {
  const asking = await created({ CLAUDE_PERMISSION_MODE: "auto" });
  sessions.script(write());
  expect(await turn(asking)).toMatchObject({ outcome: "requires_action" });
  expect(await fileOf(asking)).toBe(404);

  const variables = { CLAUDE_PERMISSION_MODE: "auto", CLAUDE_ALLOWED_TOOLS: "Read,Write" };
  const allowed = await created(variables);
  sessions.script(write(), text("Done."));
  expect(await turn(allowed)).toMatchObject({ outcome: "completed" });
  expect(await fileOf(allowed)).toBe(200);

  const own = await created(variables, { permissions: { mode: "default" } });
  sessions.script(write());
  expect(await turn(own)).toMatchObject({ outcome: "requires_action" });
});

test("CLAUDE_DISALLOWED_TOOLS do not run, whatever the mode", async () => {
  const session = await created({ CLAUDE_DISALLOWED_TOOLS: "Write,Bash(git *)" });
  sessions.script(write(), text("I may not."));
  expect(await turn(session)).toMatchObject({ outcome: "completed" });
  expect(await fileOf(session)).toBe(404);
  expect(JSON.stringify(modelCall(-1).messages)).toContain(
    "Permission to use Write was denied by Write.",
  );
});

test("CLAUDE_RETRY_MAX_ATTEMPTS ends a turn after so many attempts", async () => {
  const session = await sessions.create();
  await session.inside((_, object) => {
    const value = { ...env, CLAUDE_RETRY_MAX_ATTEMPTS: "1" };
    Object.defineProperty(object, "env", { value });
  });
  sessions.script(httpError(529));
  expect(await session.turn("hi")).toMatchObject({ outcome: "failed", code: "overloaded" });
});

test("the other CLAUDE_RETRY variables say how long is waited", async () => {
  const clock = new FakeClock(FAR_FUTURE);
  const random = vi.spyOn(Math, "random").mockReturnValue(0.5);
  try {
    const session = await sessions.create();
    await session.inside((_, object) => {
      const value = {
        ...env,
        CLAUDE_RETRY_BASE_DELAY: "40",
        CLAUDE_RETRY_BACKOFF_FACTOR: "3",
        CLAUDE_RETRY_MAX_DELAY: "50",
      };
      Object.defineProperty(object, "env", { value });
    });
    sessions.script(httpError(529), httpError(529), text("ok"));
    const sent = await session.send("hi");
    for (const [attempt, wait] of [
      [2, 20_000],
      [3, 25_000],
    ] as const) {
      const { at, body } = await session.reader.row(
        "failure",
        ({ body }) => body.retry?.attempt === attempt,
      );
      expect((body.retry?.at ?? 0) - at).toBe(wait);
      clock.advance(wait);
      await session.inside((_, object: Session) => object.alarm());
    }
    expect(await session.outcome(sent)).toMatchObject({ outcome: "completed" });
  } finally {
    random.mockRestore();
    clock.restore();
  }
});

let spies: MockInstance[] = [];
beforeEach(() => {
  spies = (["log", "warn", "error"] as const).map((level) =>
    vi.spyOn(console, level).mockImplementation(() => {}),
  );
});
afterEach(() => {
  writeFrom("INFO");
  for (const spy of spies) spy.mockRestore();
});

test.each([
  ["info", ["turn", "failure", "error"]],
  ["WARNING", ["failure", "error"]],
  ["ERROR", ["error"]],
  ["CRITICAL", []],
])("with LOG_LEVEL=%s the log has the lines %j", async (LOG_LEVEL, expected) => {
  const server = serverWith({ LOG_LEVEL });
  const session = await created({});
  sessions.script(httpError(400, { message: "no" }));
  await server("POST", `${session}/turns`, { input: "hi" });
  writeLine({ event: "error", what: "a test", error: { name: "Error", frames: [] } });
  const events = spies.flatMap(({ mock }) =>
    mock.calls.map(([line]) => JSON.parse(String(line)).event),
  );
  expect(events).toEqual(expected);
});
