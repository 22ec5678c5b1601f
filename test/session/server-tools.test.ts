/** Tools that the API runs itself: offered where they may run, and given up where it has none. */
import { expect, onTestFinished, test } from "vitest";
import { type Permissions, SERVER_TOOLS } from "../../src/shared/tools.ts";
import {
  httpError,
  otherBlock,
  reply,
  type Scripted,
  serverResult,
  serverToolUse,
  text,
  thinking,
} from "../../src/standin/replies.ts";
import { builtinToolset } from "../../src/tools/registry.ts";
import { offeredServerTools } from "../../src/tools/server-tools.ts";
import { FAR_FUTURE, FakeClock } from "../support/fake-clock.ts";
import { advanceToRetry, type TestSession, toolset, useSessions } from "../support/sessions.ts";

const OPEN: Permissions = { mode: "bypassPermissions", allow: [], ask: [], deny: [] };

/** The names of the API's own tools that these permissions leave. */
const offered = (permissions: Partial<Permissions>): string[] =>
  offeredServerTools(SERVER_TOOLS, { ...OPEN, ...permissions }).map(({ name }) => name);

test("they are offered where the permissions allow them without a question", () => {
  expect(offered({})).toEqual(["web_search", "code_execution"]);
  expect(offered({ deny: ["WebSearch"] })).toEqual(["code_execution"]);
  expect(offered({ deny: ["CodeExecution"] })).toEqual(["web_search"]);
  expect(offered({ mode: "default" })).toEqual(["code_execution"]);
  expect(offered({ mode: "default", allow: ["WebSearch"] })).toEqual([
    "web_search",
    "code_execution",
  ]);
  expect(offered({ mode: "dontAsk" })).toEqual(["code_execution"]);
});

const sessions = useSessions();

interface Sent {
  tools: { name: string }[];
  container?: string;
}

/** The body of request `i`, which the stand-in has checked. */
const sent = (i: number): Sent => sessions.requests[i]?.body as unknown as Sent;

const sentTools = (i: number): string[] => sent(i).tools.map(({ name }) => name);

const create = (model?: string): Promise<TestSession> =>
  sessions.create({
    tools: builtinToolset(offeredServerTools(SERVER_TOOLS, OPEN)),
    ...(model ? { model } : {}),
  });

const SEARCH = serverToolUse("web_search", { query: "Tōkyō" });
const FOUND = serverResult("web_search_tool_result", [
  {
    type: "web_search_result",
    title: "Tōkyō",
    url: "https://example.com/",
    encrypted_content: "c3RhbmQtaW4=",
    page_age: null,
  },
]);

test("a search is an event with its result, has its fee, and stays in the context as it came", async () => {
  const session = await create();
  sessions.script(
    reply({
      blocks: [text("I look."), SEARCH, FOUND, text("Found.")],
      usage: { server_tool_use: { web_search_requests: 1, web_fetch_requests: 0 } },
    }),
    text("yes"),
  );
  const first = await session.turn("search it");
  expect(first).toMatchObject({ totals: { billed: { web_search_requests: 1 } } });
  expect(first.totals.cost_usd).toBeGreaterThan(0.01);
  await session.turn("sure?");
  const types = sessions.messages(1)[1]?.content.map(({ type }) => type);
  expect(types).toEqual(["text", "server_tool_use", "web_search_tool_result", "text"]);
  const { rows } = session.reader;
  expect(rows.filter(({ type }) => type === "block.other")).toHaveLength(2);
});

test("a model of which nothing is known gets none of them", async () => {
  const session = await create("some-gateway-model");
  sessions.standin.expectRefusal();
  expect(await session.turn("hi")).toMatchObject({ code: "model_not_found" });
  // The stand-in does not serve it, so it is not among the requests of the script.
  const asked = sessions.standin.requests.at(-1)?.body as unknown as Sent;
  const names = asked.tools.map(({ name }) => name);
  expect(names).toContain("Bash");
  expect(names).not.toContain("web_search");
  expect(names).not.toContain("code_execution");
});

test.each([
  [403, "permission_error", "Web search is not enabled for this organization."],
  [400, "invalid_request_error", "tools.12: Input tag 'web_search_20250305' found using 'type'"],
  [400, "invalid_request_error", "tools.12.custom.input_schema: Field required"],
])(
  "an API that refuses them (%i %s %s) is asked without them, once and for all",
  async (status, type, message) => {
    const session = await create();
    sessions.script(
      [thinking("hm"), text("one")],
      httpError(status, { type, message }),
      text("two"),
    );
    await session.turn("first");
    expect(await session.turn("second")).toMatchObject({ outcome: "completed" });
    sessions.script(text("three"));
    expect(await session.turn("third")).toMatchObject({ outcome: "completed" });
    expect(sentTools(1)).toContain("web_search");
    for (const i of [2, 3]) {
      expect(sentTools(i)).not.toContain("web_search");
      expect(sentTools(i)).not.toContain("code_execution");
      expect(sentTools(i)).toContain("Bash");
    }
    const cuts = (await session.rows()).filter((row) => row.type === "context.cut");
    expect(cuts).toMatchObject([{ body: { reason: "server_tools" } }]);
  },
);

const RAN = [
  serverToolUse("bash_code_execution", { command: "python -V" }, { id: "srvtoolu_code" }),
  otherBlock({
    type: "bash_code_execution_tool_result",
    tool_use_id: "srvtoolu_code",
    content: {
      type: "bash_code_execution_result",
      stdout: "Python 3",
      stderr: "",
      return_code: 0,
      content: [],
    },
  }),
  text("It is 3."),
];

/** Tools, blocks and fields that an API without such tools does not know. */
const UNKNOWN =
  /"(?:type":")?(server_tool_use|\w+_execution_tool_result|web_search_tool_result|web_search_\d+|code_execution_\d+|web_search_result_location|container_upload|encrypted_\w+)"/;

/** Answers like a gateway that knows neither the tools nor their blocks, after the API's `last` words. */
function gateway(...last: Scripted[]): void {
  sessions.answer(({ text: body }) => {
    const before = last.shift();
    if (before) return before;
    const [, tag] = UNKNOWN.exec(body) ?? [];
    if (tag === undefined) return text("yes");
    const message = `messages.1.content.1: Input tag '${tag}' found using 'type' does not match any of the expected tags: 'text', 'tool_use'`;
    return httpError(400, { message });
  });
}

const CITED = text("It is large.", {
  citations: [
    {
      type: "web_search_result_location",
      url: "https://example.com/",
      title: "Tōkyō",
      encrypted_index: "c3RhbmQtaW4=",
      cited_text: "large",
    },
  ],
});

test("where a gateway knows none of it, what they did is told as text, and the session goes on", async () => {
  const session = await create();
  sessions.script(
    reply({ blocks: [text("I look."), SEARCH, FOUND, CITED] }),
    reply({ blocks: RAN, container: container("container_1") }),
  );
  await session.turn("search it");
  await session.turn("which Python?");
  gateway();
  for (const word of ["three", "four"]) {
    expect(await session.turn(word)).toMatchObject({ outcome: "completed" });
  }
  const said = JSON.stringify(sessions.messages(sessions.requests.length - 1));
  for (const part of ["web_search", "Tōkyō", "https://example.com/", "python -V", "Python 3"]) {
    expect(said).toContain(part);
  }
  expect(said).toContain("It is large.");
  expect(sessions.requests).toHaveLength(5);
  const cuts = (await session.rows()).filter((row) => row.type === "context.cut");
  expect(cuts).toMatchObject([{ body: { reason: "server_tools" } }]);
});

test("the same in a turn with the client's own tools, which has none of them to give up", async () => {
  // One to which tools cannot be appended, so that the turn's are all there are.
  const session = await create("claude-sonnet-5");
  sessions.script([text("I look."), SEARCH, FOUND, text("Found.")]);
  await session.turn("search it");
  gateway();
  for (const word of ["two", "three"]) {
    const sent = { tools: toolset("a") };
    expect(await session.turn(word, sent)).toMatchObject({ outcome: "completed" });
  }
});

test("an answer that had paused in a search is gone on with in words", async () => {
  const session = await create();
  gateway(reply({ blocks: [text("I look."), SEARCH], stop_reason: "pause_turn" }));
  expect(await session.turn("search it")).toMatchObject({ outcome: "completed" });
  expect(sessions.messages(2).map(({ role }) => role)).toEqual(["user", "assistant", "user"]);
});

test("a file that code has made does not stop a session whose API does not take the block back", async () => {
  const session = await create();
  const made = otherBlock({ type: "container_upload", file_id: "file_made" });
  sessions.script(reply({ blocks: [...RAN, made], container: container("container_1") }));
  await session.turn("draw it");
  sessions.script(text("yes"));
  sessions.standin.expectRefusal();
  expect(await session.turn("sure?")).toMatchObject({ outcome: "completed" });
  expect(JSON.stringify(sessions.messages(1))).toContain("file_made");
});

test("a model of which nothing is known gets what they did as text", async () => {
  const session = await create();
  sessions.script([text("I look."), SEARCH, FOUND, text("Found.")]);
  await session.turn("search it");
  await session.switchModel("some-gateway-model");
  sessions.standin.expectRefusal();
  expect(await session.turn("hi")).toMatchObject({ code: "model_not_found" });
  // The stand-in does not serve it, so it is not among the requests of the script.
  const asked = sessions.standin.requests.at(-1)?.text ?? "";
  expect(asked).toContain("https://example.com/");
  expect(asked).not.toMatch(/"type":"(server_tool_use|web_search_tool_result)"/);
  await session.switchModel("claude-sonnet-5-5");
  sessions.script(text("back"));
  await session.turn("back");
  expect(sessions.messages(1)[1]?.content.map(({ type }) => type)).toEqual([
    "text",
    "server_tool_use",
    "web_search_tool_result",
    "text",
  ]);
});

const container = (id: string) => ({ id, expires_at: "2026-11-20T00:00:00Z" });
const sentContainer = (i: number) => sent(i).container;

// A machine that cannot be brought back is refused by the documents, and a bare 500 in life.
test.each([
  [404, "Container container_1 not found"],
  [400, "container: container_1 has expired"],
  [500, "Internal server error"],
])(
  "code goes on in the machine in which it ran, until that is gone (%i %s)",
  async (status, message) => {
    const clock = new FakeClock(FAR_FUTURE);
    onTestFinished(() => clock.restore());
    const session = await create();
    sessions.script(reply({ blocks: RAN, container: container("container_1") }), text("again"));
    await session.turn("which Python?");
    await session.turn("sure?");
    expect([0, 1].map(sentContainer)).toEqual([undefined, "container_1"]);
    const fresh = reply({ blocks: [text("3")], container: container("container_2") });
    sessions.script(httpError(status, { message }), fresh);
    const turn = await session.send("and now?");
    if (status === 500) await advanceToRetry(session, clock);
    expect(await session.outcome(turn)).toMatchObject({ outcome: "completed" });
    expect([2, 3].map(sentContainer)).toEqual(["container_1", undefined]);
    sessions.script(text("yes"));
    await session.turn("sure?");
    expect(sentContainer(4)).toBe("container_2");
  },
);
