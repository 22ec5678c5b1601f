/** What a session is like behind a compaction, and after a crash in the middle of one. */
import { expect, test } from "vitest";
import type { ContentBlock } from "../../src/shared/content.ts";
import { compaction, httpError, text, toolUse } from "../../src/standin/replies.ts";
import { builtinToolset } from "../../src/tools/registry.ts";
import { API, compact, conversation, done, ended, PLAIN } from "../support/compactions.ts";
import { foldAll } from "../support/laws.ts";
import { held, reached, toolset, useSessions } from "../support/sessions.ts";

const sessions = useSessions();
const { talk, last, said } = conversation(sessions);
const A = toolset("a");
const B = toolset("b");

test.each([
  [API, "by a block", () => [compaction("Both.")]],
  [API, "by a text", () => [text("I will not."), text("Both.")]],
  [PLAIN, "by a text", () => [text("Both.")]],
])("on %s, compacted %s, tools that came and went are as they were", async (model, _, summary) => {
  const session = await sessions.create({ model });
  sessions.script(text("one"), text("two"), ...summary(), toolUse("b", {}), text("four"));
  await session.turn("one", { tools: A });
  await session.turn("two", { tools: B });
  await done(session);
  const { pending } = await session.turn("three", { tools: B });
  expect(pending).toHaveLength(1);
  await session.outcome(await session.results({ [pending[0]?.id ?? ""]: "x" }, { tools: B }));
  expect(session.reader.rows.filter(({ type }) => type === "input")[2]?.body).not.toHaveProperty(
    "tool_change",
  );
  sessions.script(text("five"));
  await session.turn("five", { tools: toolset("a", "b") });
});

test("a message that failed is a new one when it is sent again after a compaction", async () => {
  const session = await sessions.create({ model: API });
  await talk(session, "one");
  sessions.script(httpError(401), compaction("One, and two failed."), text("two"));
  expect(await session.turn("two", { hash: "same" })).toMatchObject({ outcome: "failed" });
  await done(session);
  expect(await session.turn("two", { hash: "same" })).toMatchObject({ outcome: "completed" });
  expect(last().at(-1)).toMatchObject({ role: "user", content: [{ text: "two" }] });
});

test("a new model gets the summary as a text", async () => {
  const session = await sessions.create({ model: API });
  await talk(session, "one");
  sessions.script(compaction("They said one."));
  await done(session);
  await session.switchModel("claude-haiku-4-5");
  sessions.script(text("two"));
  await session.turn("two");
  expect(last()).toMatchObject([
    {
      role: "user",
      content: [{ text: expect.stringContaining("They said one.") }, { text: "two" }],
    },
  ]);
});

test("a block that the API no longer takes becomes a text, and the call is made once more", async () => {
  const session = await sessions.create({ model: API });
  await talk(session, "one");
  sessions.script(compaction("They said one."));
  await done(session);
  const gone = httpError(400, {
    errorCode: "compaction_signature_invalid",
    message: "messages.0.content.0: Invalid `signature` in `compaction` block",
  });
  sessions.script(gone, text("two"));
  expect(await session.turn("two")).toMatchObject({ outcome: "completed" });
  expect(said()).toContain("Summary of the conversation so far");
});

test.each([
  [API, compaction("One.")],
  [PLAIN, text("One.")],
])(
  "on %s, one that is sent again while the summary is made stands behind that",
  async (model, one) => {
    const session = await sessions.create({ model });
    await talk(session, "one");
    sessions.script(httpError(401));
    expect(await session.turn("two", { hash: "same" })).toMatchObject({ outcome: "failed" });
    const { reply, gate } = held(2, [one]);
    sessions.script(reply, text("two"));
    const { s } = await compact(session);
    await reached(gate);
    const sent = await session.send("two", { hash: "same" });
    await session.open(gate);
    expect((await ended(session, s)).type).toBe("context.compacted");
    expect(await session.outcome(sent)).toMatchObject({ outcome: "completed" });
    expect(last().at(-1)?.content.at(-1)).toMatchObject({ type: "text", text: "two" });
    await talk(session, "three");
  },
);

test("a file that was read before has to be read again before it is edited", async () => {
  const session = await sessions.create({ model: API, tools: builtinToolset() });
  const edit = { file_path: "a", old_string: "1", new_string: "2" };
  sessions.script(toolUse("Write", { file_path: "a", content: "1" }), text("written"));
  await session.turn("write");
  sessions.script(compaction("A file was written."));
  await done(session);
  sessions.script(toolUse("Edit", edit), text("not yet"));
  await session.turn("edit");
  const result = session.reader.rows.findLast(({ type }) => type === "tool.ended");
  expect(result?.body).toMatchObject({ is_error: true });
});

test("pictures that are covered make room for others", async () => {
  const session = await sessions.create({ model: API });
  const picture = (sha256: string): ContentBlock[] => [
    { type: "text", text: "look" },
    { type: "image", source: { type: "base64", media_type: "image/png", data: PNG + sha256 } },
  ];
  sessions.script(text("a cat"));
  await session.turn(picture(""));
  const held_before = foldAll(await session.rows()).context.media;
  expect(held_before).toBeGreaterThan(0);
  sessions.script(compaction("A cat."));
  await done(session);
  expect(foldAll(await session.rows()).context.media).toBe(0);
});

const PNG = "iVBORw0KGgoAAAANSUhEUgAAABAAAAAQCAYAAAAf8/9hAAAAAElFTkSuQmCC";

test("after a crash the attempt is made again, and there is one end", async () => {
  const session = await sessions.create({ model: API });
  await talk(session, "one");
  const { reply: summary, gate } = held(2, [compaction("One.")]);
  sessions.script(summary, compaction("One again."));
  const { s } = await compact(session);
  await reached(gate);
  await session.crash();
  expect((await ended(session, s)).body).toMatchObject({ block: { content: "One again." } });
  await talk(session, "two");
});

test("a compaction that takes the object down five times is given up", async () => {
  const session = await sessions.create({ model: API });
  await talk(session, "one");
  const summaries = Array.from({ length: 5 }, () => held(2, [compaction("One.")]));
  sessions.script(...summaries.map(({ reply: summary }) => summary));
  const { s } = await compact(session);
  for (const { gate } of summaries) {
    await reached(gate);
    await session.crash();
  }
  expect((await ended(session, s)).body).toMatchObject({ code: "crash_loop" });
  await talk(session, "two");
});
