/** A session can always go on: whatever the API refuses is left out, and the next turn works. */
import { expect, test } from "vitest";
import {
  httpError,
  refusal,
  reply,
  serverResult,
  serverToolUse,
  text,
  thinking,
  toolUse,
} from "../../src/standin/replies.ts";
import { held, toolset, useSessions } from "../support/sessions.ts";

const sessions = useSessions();
const A = toolset("a");

/** Bytes that are no image: the stand-in refuses them as the API does. */
const BROKEN = {
  type: "image" as const,
  source: { type: "base64" as const, media_type: "image/png", data: "bm90IGFuIGltYWdl" },
};

const said = (i: number): string => JSON.stringify(sessions.messages(i));

test("a message that the API rejects fails and is left out; the next turn works", async () => {
  const session = await sessions.create();
  sessions.script(text("hello"), text("ok"));
  sessions.standin.expectRefusal();
  await session.turn("hi");
  const failed = await session.turn([{ type: "text", text: "look" }, BROKEN]);
  expect(failed).toMatchObject({ outcome: "failed", code: "invalid_request" });
  expect(await session.reader.row("context.cut")).toMatchObject({
    body: { reason: "rejected", drop: [failed.turn] },
  });
  expect(await session.turn("go on")).toMatchObject({ outcome: "completed" });
  expect(said(1)).not.toContain("look");
  expect(sessions.messages(1).map(({ role }) => role)).toEqual(["user", "assistant", "user"]);
});

test("tool results that the API rejects are replaced by an error result", async () => {
  const session = await sessions.create();
  sessions.script(toolUse("a", {}), text("ok"));
  sessions.standin.expectRefusal();
  const first = await session.turn("go", { tools: A });
  const [call] = first.pending;
  const result = { tool: call?.id ?? "", content: [BROKEN], is_error: false };
  const failed = await session.outcome(await session.results([result]));
  expect(failed).toMatchObject({ outcome: "failed" });
  expect(await session.turn("go on", { tools: A })).toMatchObject({ outcome: "completed" });
  expect(sessions.asked(1)).toMatchObject([
    { type: "tool_result", is_error: true, content: [{ type: "text" }] },
    { text: "go on" },
  ]);
});

test.each([
  [400, "invalid_request", true],
  [401, "authentication", false],
  [402, "billing", false],
  [403, "permission", false],
  [404, "not_found", true],
  [413, "too_large", true],
])("status %i is final: %s; left out: %s; the session goes on", async (status, code, left_out) => {
  const session = await sessions.create();
  sessions.script(httpError(status), text("ok"));
  expect(await session.turn("one")).toMatchObject({ outcome: "failed", code });
  expect(await session.turn("two")).toMatchObject({ outcome: "completed" });
  expect(said(1).includes("one")).toBe(!left_out);
  expect(sessions.messages(1)).toHaveLength(1);
});

test("an unknown model cuts nothing, and another model takes over", async () => {
  const session = await sessions.create();
  sessions.script(
    text("hello"),
    httpError(404, { message: "model: claude-sonnet-5-5" }),
    text("ok"),
  );
  await session.turn("hi");
  expect(await session.turn("one")).toMatchObject({ outcome: "failed", code: "model_not_found" });
  await session.switchModel("claude-opus-5-5");
  expect(await session.turn("two")).toMatchObject({ outcome: "completed" });
  expect(said(2)).toContain("one");
});

test("a refused message is left out with its answer", async () => {
  const session = await sessions.create();
  sessions.script(
    text("hello"),
    refusal("cyber", [thinking("no"), text("I cannot")]),
    text("gladly"),
  );
  await session.turn("hi");
  expect(await session.turn("evil")).toMatchObject({ outcome: "refused", code: "refusal" });
  expect(await session.turn("nice")).toMatchObject({ outcome: "completed" });
  expect(said(2)).not.toContain("evil");
  expect(said(2)).not.toContain("I cannot");
});

test("the first message may be refused", async () => {
  const session = await sessions.create();
  sessions.script(refusal("bio"), text("gladly"));
  await session.turn("evil");
  expect(await session.turn("nice")).toMatchObject({ outcome: "completed" });
});

test("a refusal after tool results replaces the results", async () => {
  const session = await sessions.create();
  sessions.script([thinking("t"), toolUse("a", {})], refusal("cyber"), [thinking("u"), text("ok")]);
  const first = await session.turn("go", { tools: A });
  const results = Object.fromEntries(first.pending.map(({ id }) => [id, "how to do evil"]));
  const refused = await session.outcome(await session.results(results));
  expect(refused).toMatchObject({ outcome: "refused" });
  expect(await session.turn("nice", { tools: A })).toMatchObject({ outcome: "completed" });
  expect(said(2)).not.toContain("evil");
  const cut = await session.reader.row("context.cut");
  expect(cut.body.replace.map(({ tool }) => tool)).toEqual(["call_3_1"]);
});

test("a refused message that changed the tools does not break the next request", async () => {
  const session = await sessions.create();
  sessions.script([thinking("t"), text("hello")], refusal("cyber"), text("gladly"), text("more"));
  await session.turn("hi", { tools: A });
  await session.turn("evil", { tools: toolset("a", "b") });
  expect(await session.turn("nice", { tools: toolset("b") })).toMatchObject({
    outcome: "completed",
  });
  expect(await session.turn("more", { tools: A })).toMatchObject({ outcome: "completed" });
});

test("a rejected message that changed the tools does not break the next request", async () => {
  const session = await sessions.create();
  sessions.script([thinking("t"), text("hello")], httpError(400), httpError(400), text("gladly"));
  await session.turn("hi", { tools: A });
  await session.turn("bad", { tools: toolset("b") });
  await session.turn("worse", { tools: A });
  expect(await session.turn("nice", { tools: toolset("b") })).toMatchObject({
    outcome: "completed",
  });
});

test("the same refused message after a cut stream is left out all the same", async () => {
  const session = await sessions.create();
  sessions.script(
    reply({ blocks: [text("I")], acts: [{ at: 2, act: { act: "cut", how: "end" } }] }),
    refusal("cyber"),
    text("gladly"),
  );
  expect(await session.turn("evil")).toMatchObject({ outcome: "refused" });
  expect(await session.turn("nice")).toMatchObject({ outcome: "completed" });
  expect(said(2)).not.toContain("evil");
});

test("a full window fails the turn and keeps the session", async () => {
  const session = await sessions.create();
  sessions.script(
    reply({ blocks: [text("as far as")], stop_reason: "model_context_window_exceeded" }),
    text("ok"),
  );
  expect(await session.turn("one")).toMatchObject({ outcome: "failed", code: "context_full" });
  expect(await session.turn("two")).toMatchObject({ outcome: "completed" });
});

test("an answer cut by the output limit is continued three times, then the turn ends", async () => {
  const session = await sessions.create();
  const cut = (part: string) => reply({ blocks: [text(part)], stop_reason: "max_tokens" });
  sessions.script(cut("a"), cut("b"), cut("c"), cut("d"), text("e"));
  expect(await session.turn("go")).toMatchObject({ outcome: "completed" });
  expect(await session.reader.row("notice")).toMatchObject({ body: { code: "output_limit" } });
  const completed = session.reader.frames.find(({ event }) => event === "turn.completed");
  expect(JSON.parse(completed?.data ?? "").data).toMatchObject({
    output_text: "abcd",
    finish_reason: "stop",
  });
  expect(sessions.asked(1)).toMatchObject([{ text: "Continue exactly where you stopped." }]);
  await session.turn("next");
});

test("a cut message that holds nothing to keep is asked again", async () => {
  const session = await sessions.create();
  sessions.script(
    reply({ blocks: [thinking("long")], stop_reason: "max_tokens" }),
    [thinking("short"), text("ok")],
    text("more"),
  );
  expect(await session.turn("go")).toMatchObject({ outcome: "completed" });
  expect(await session.turn("on")).toMatchObject({ outcome: "completed" });
});

test("a pause is resent unchanged, and ten of them end the turn", async () => {
  const session = await sessions.create();
  const none = { type: "web_search_tool_result_error", error_code: "unavailable" };
  const paused = (n: number) =>
    reply({
      blocks: [
        thinking(`t${n}`),
        serverToolUse("web_search", { query: `${n}` }),
        serverResult("web_search_tool_result", none),
      ],
      stop_reason: "pause_turn",
    });
  sessions.script(...Array.from({ length: 11 }, (_, n) => paused(n)), text("next"));
  expect(await session.turn("go")).toMatchObject({ outcome: "completed" });
  expect(await session.reader.row("notice")).toMatchObject({ body: { code: "pause_limit" } });
  expect(sessions.messages(1).at(-1)?.role).toBe("assistant");
  expect(await session.turn("go on")).toMatchObject({ outcome: "completed" });
});

test("a pause that is not continued leaves nothing that the API refuses", async () => {
  const session = await sessions.create();
  sessions.script(
    [thinking("t"), text("hello")],
    reply({
      blocks: [thinking("u"), serverToolUse("web_search", { query: "x" })],
      stop_reason: "pause_turn",
    }),
    httpError(401),
    text("ok"),
  );
  await session.turn("hi");
  expect(await session.turn("search")).toMatchObject({ outcome: "failed" });
  expect(await session.turn("go on")).toMatchObject({ outcome: "completed" });
});

test("an answer of thinking alone does not stop the session", async () => {
  const session = await sessions.create();
  sessions.script([thinking("t")], [thinking("u"), text("ok")], text("more"));
  expect(await session.turn("hi")).toMatchObject({ outcome: "completed" });
  expect(await session.turn("and?")).toMatchObject({ outcome: "completed" });
  expect(await session.turn("and?")).toMatchObject({ outcome: "completed" });
});

test("an empty answer after tool results is asked once more", async () => {
  const session = await sessions.create();
  sessions.script(toolUse("a", {}), [], text("here"), toolUse("a", {}), [], [], text("fine"));
  const first = await session.turn("go", { tools: A });
  const answer = (pending: { id: string }[]) =>
    Object.fromEntries(pending.map(({ id }) => [id, "x"]));
  const done = await session.outcome(await session.results(answer(first.pending)));
  expect(done).toMatchObject({ outcome: "completed" });
  expect(sessions.requests).toHaveLength(3);
  const second = await session.turn("again", { tools: A });
  await session.outcome(await session.results(answer(second.pending)));
  expect(sessions.requests).toHaveLength(6);
  await session.turn("and?", { tools: A });
});

test("text without a word is never sent", async () => {
  const session = await sessions.create();
  sessions.script([text("\n\n"), toolUse("a", {})], text("ok"), text(" "), text("fine"));
  const first = await session.turn("  \n", { tools: A });
  const results = Object.fromEntries(first.pending.map(({ id }) => [id, " "]));
  expect(await session.outcome(await session.results(results))).toMatchObject({
    outcome: "completed",
  });
  await session.turn("again", { tools: A });
  expect(await session.turn("and?", { tools: A })).toMatchObject({ outcome: "completed" });
});

test("an answer that was interrupted before it said a word is never sent", async () => {
  const session = await sessions.create();
  const { reply: answer } = held({ block: 0, delta: 1 }, [
    text("\n\nHello", { deltas: ["\n\n", "Hello"] }),
  ]);
  sessions.script(answer, text("ok"));
  const sent = await session.send("hi");
  await session.reader.until(() => session.reader.previewed !== "");
  await session.interrupt();
  await session.outcome(sent);
  expect(await session.turn("again")).toMatchObject({ outcome: "completed" });
});

test("a message that failed and is sent again adds nothing to the context", async () => {
  const session = await sessions.create();
  sessions.script(httpError(401), httpError(401), text("ok"));
  await session.turn("hi", { hash: "same" });
  await session.turn("hi", { hash: "same" });
  await session.turn("hi", { hash: "same" });
  expect(sessions.messages(2)).toMatchObject([{ role: "user", content: [{ text: "hi" }] }]);
  expect(sessions.asked(2)).toHaveLength(1);
});

test("a whole transcript sent again begins a new context", async () => {
  const session = await sessions.create();
  sessions.script([thinking("t"), text("hello")], text("fresh"), text("more"));
  await session.turn("hi");
  await session.turn("user: hi\nassistant: hello\nuser: go", { replay: true });
  await session.turn("on");
  expect(sessions.messages(1)).toHaveLength(1);
  expect(sessions.messages(2)).toHaveLength(3);
});

test("a retired model names its successor", async () => {
  const session = await sessions.create({ model: "claude-opus-4-1" });
  sessions.standin.expectRefusal();
  expect(await session.turn("hi")).toMatchObject({ outcome: "failed", code: "model_retired" });
  sessions.script(text("ok"));
  await session.switchModel("claude-opus-5-5");
  expect(await session.turn("hi again")).toMatchObject({ outcome: "completed" });
});

test("thinking that the API no longer takes is left out, and the call made once more", async () => {
  const session = await sessions.create();
  const invalid = "messages.1.content.0: Invalid `signature` in `thinking` block";
  sessions.script([thinking("hm"), text("one")]);
  await session.turn("first");
  sessions.script(httpError(400, { message: invalid }), [thinking("so"), text("two")]);
  expect(await session.turn("second")).toMatchObject({ outcome: "completed" });
  const sent = JSON.stringify(sessions.requests.at(-1)?.body);
  expect(sent).toContain("second");
  expect(sent).not.toContain("hm");
  const cuts = (await session.rows()).filter((row) => row.type === "context.cut");
  expect(cuts).toMatchObject([{ body: { reason: "gone", strip_thinking: true, drop: [] } }]);
});

test("thinking is left out once in a turn: what is refused then is the message itself", async () => {
  const session = await sessions.create();
  const invalid = "messages.1.content.0: Invalid `signature` in `thinking` block";
  sessions.script(httpError(400, { message: invalid }), httpError(400, { message: invalid }));
  expect(await session.turn("first")).toMatchObject({
    outcome: "failed",
    code: "thinking_rejected",
  });
  sessions.script(text("two"));
  expect(await session.turn("second")).toMatchObject({ outcome: "completed" });
});

test("a refusal leaves out an interrupted exchange before it too, which may be its cause", async () => {
  const session = await sessions.create();
  sessions.script(text("hello"));
  await session.turn("hi");
  const { reply: answer } = held({ block: 0, delta: 1 }, [text("one", { deltas: ["o", "ne"] })]);
  sessions.script(answer);
  const first = await session.send("something bad");
  await session.reader.until(() => session.reader.previewed === "o");
  await session.interrupt();
  await session.outcome(first);
  sessions.script(refusal("cyber"), text("fine"));
  expect(await session.turn("go on")).toMatchObject({ outcome: "refused" });
  expect(await session.turn("what is the time?")).toMatchObject({ outcome: "completed" });
  const sent = said(sessions.requests.length - 1);
  expect(sent).toContain("hello");
  expect(sent).not.toMatch(/something bad|go on/);
});

test("a gateway that does not know appended tools gets them as its own, and is not asked again", async () => {
  const session = await sessions.create();
  const unknown = "messages.3.content.0.type: Input tag 'tool_addition' is not expected";
  sessions.script([thinking("hm"), text("one")], httpError(400, { message: unknown }), text("two"));
  await session.turn("first", { tools: A });
  expect(await session.turn("second", { tools: toolset("b") })).toMatchObject({
    outcome: "completed",
  });
  sessions.script(text("three"));
  expect(await session.turn("third", { tools: A })).toMatchObject({ outcome: "completed" });
  expect(sessions.requests.length).toBe(4);
  const roles = sessions.requests.map((_, i) => sessions.messages(i).map(({ role }) => role));
  expect(roles.map((list) => list.includes("system"))).toEqual([false, true, false, false]);
  const cuts = (await session.rows()).filter((row) => row.type === "context.cut");
  expect(cuts).toMatchObject([{ body: { reason: "tools" } }, { body: { reason: "tools" } }]);
});
