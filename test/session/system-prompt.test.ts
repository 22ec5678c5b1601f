/** A session's system prompt can be changed: what was sent stays, and the next message has the new one. */
import { ulid } from "ulid";
import { expect, test } from "vitest";
import { submit } from "../../src/http/submit.ts";
import { httpError, text, thinking, toolUse } from "../../src/standin/replies.ts";
import { conversation, done, PLAIN } from "../support/compactions.ts";
import { accepted, held, type TestSession, toolset, useSessions } from "../support/sessions.ts";

const sessions = useSessions();
const { talk, said } = conversation(sessions);
const A = toolset("a");

/** The system prompt of each request. */
const prompts = (): unknown[] =>
  sessions.requests.map(({ body }) => {
    // The stand-in has checked its form.
    const { system = [] } = body as { system?: { text: string }[] };
    return system.map((block) => block.text).join("") || null;
  });

const cuts = ({ reader }: TestSession): string[] =>
  reader.rows.flatMap((row) => (row.type === "context.cut" ? [row.body.reason] : []));

const thoughts = (i: number): number =>
  sessions.messages(i).flatMap(({ content }) => content.filter(({ type }) => type === "thinking"))
    .length;

const promptOf = async ({ stub }: TestSession) => (await stub.describe())?.system_prompt;

test("the next message has the new one in another epoch, without earlier thinking", async () => {
  const session = await sessions.create({ system: "Be brief." });
  await talk(session, "one", "two");
  await session.update({ system_prompt: "Be long." });
  expect(await promptOf(session)).toBe("Be long.");
  await talk(session, "three", "four");
  expect(prompts()).toEqual(["Be brief.", "Be brief.", "Be long.", "Be long."]);
  expect([0, 1, 2, 3].map(thoughts)).toEqual([0, 1, 0, 1]);
  expect(cuts(session)).toEqual(["system"]);
  expect(said()).toContain("yes one");
});

test("clients hear that it was changed, and not what it says", async () => {
  const session = await sessions.create();
  await session.update({ system_prompt: "A secret of the house." });
  const row = await session.reader.row("session.updated");
  const frame = session.reader.frames.find(({ event }) => event === "session.updated");
  expect(row.body.config.system_prompt).toBe("A secret of the house.");
  expect(JSON.parse(frame?.data ?? "").data).toEqual({ system_prompt_changed: true });
});

test("the same text again is no change, and neither is one that was taken back", async () => {
  const session = await sessions.create({ system: "Be brief." });
  await talk(session, "one");
  await session.update({ system_prompt: "Be brief." });
  await talk(session, "two");
  await session.update({ system_prompt: "Be long." });
  await session.update({ system_prompt: "Be brief." });
  await talk(session, "three");
  expect(cuts(session)).toEqual([]);
  expect(thoughts(2)).toBe(2);
});

test("before the first message it costs nothing", async () => {
  const session = await sessions.create({ system: "Be brief." });
  await session.update({ system_prompt: "Be long." });
  await talk(session, "one");
  expect(prompts()).toEqual(["Be long."]);
  expect(cuts(session)).toEqual([]);
});

test("it can be taken away and given back", async () => {
  const session = await sessions.create({ system: "Be brief." });
  await talk(session, "one");
  await session.update({ system_prompt: null });
  expect(await promptOf(session)).toBeNull();
  await talk(session, "two");
  await session.update({ system_prompt: "Be long." });
  await talk(session, "three");
  expect(prompts()).toEqual(["Be brief.", null, "Be long."]);
  expect(cuts(session)).toEqual(["system", "system"]);
});

test("a turn that waits for results goes on with the one that it began with", async () => {
  const session = await sessions.create({ system: "Be brief.", tools: A });
  sessions.script([thinking("hm"), toolUse("a", {})], [thinking("so"), text("done")]);
  await session.turn("one");
  await session.update({ system_prompt: "Be long." });
  const [call = ""] = await session.pending();
  await session.outcome(await session.results({ [call]: "x" }));
  expect(thoughts(1)).toBe(1);
  await talk(session, "two");
  expect(prompts()).toEqual(["Be brief.", "Be brief.", "Be long."]);
});

test("a message that waits has the prompt of the time when it is taken", async () => {
  const session = await sessions.create({ system: "Be brief." });
  const { reply, gate } = held({ block: 0, delta: 1 }, [text("one", { deltas: ["o", "ne"] })]);
  sessions.script(reply, text("two"));
  await session.send("one");
  await session.reader.until(() => session.reader.previewed === "o");
  const second = await session.send("two");
  await session.update({ system_prompt: "Be long." });
  await session.open(gate);
  await session.outcome(second);
  expect(prompts()).toEqual(["Be brief.", "Be long."]);
});

test("a message that brings one has it from its turn on, whoever waits beside it", async () => {
  const session = await sessions.create({ system: "Be brief." });
  const { reply, gate } = held({ block: 0, delta: 1 }, [text("one", { deltas: ["o", "ne"] })]);
  sessions.script(reply, text("two"), text("three"), text("four"), text("five"));
  await session.send("one");
  await session.reader.until(() => session.reader.previewed === "o");
  await session.send("two", { system_prompt: "Prompt A." });
  await session.send("three", { system_prompt: "Prompt B." });
  const last = await session.send("four");
  expect(await promptOf(session)).toBe("Be brief.");
  await session.open(gate);
  await session.outcome(last);
  expect(prompts()).toEqual(["Be brief.", "Prompt A.", "Prompt B.", "Prompt B."]);
  expect(cuts(session)).toEqual(["system", "system"]);
  expect(await promptOf(session)).toBe("Prompt B.");
  await session.crash();
  await session.turn("five");
  expect(prompts().at(-1)).toBe("Prompt B.");
});

test("what waits with the prompt of now has it, also behind a message with another", async () => {
  const session = await sessions.create({ system: "Be brief." });
  const { reply, gate } = held({ block: 0, delta: 1 }, [text("one", { deltas: ["o", "ne"] })]);
  sessions.script(reply, text("two"), text("three"));
  await session.send("one");
  await session.reader.until(() => session.reader.previewed === "o");
  await session.send("two", { system_prompt: "Be long." });
  const last = await session.send("three", { system_prompt: "Be brief." });
  await session.open(gate);
  await session.outcome(last);
  expect(prompts()).toEqual(["Be brief.", "Be long.", "Be brief."]);
});

test("a message that is cancelled while it waits leaves the session's as it is", async () => {
  const session = await sessions.create({ system: "Be brief." });
  const { reply, gate } = held({ block: 0, delta: 1 }, [text("one", { deltas: ["o", "ne"] })]);
  sessions.script(reply, text("three"));
  await session.send("one");
  await session.reader.until(() => session.reader.previewed === "o");
  const { input } = await session.send("two", { system_prompt: "Be long." });
  const last = await session.send("three");
  await session.submit({ kind: "cancel", input: input ?? 0 });
  await session.open(gate);
  await session.outcome(last);
  expect(prompts()).toEqual(["Be brief.", "Be brief."]);
});

test("what joins a turn changes no prompt; what opens one that finds nothing to join does", async () => {
  const session = await sessions.create({ system: "Be brief.", tools: A });
  const { reply, gate } = held({ block: 0, delta: 1 }, [toolUse("nothing", { x: 1 })]);
  sessions.script(reply, text("two"), text("three"));
  await session.send("one");
  await session.reader.until(() => session.reader.previewed !== "");
  const steer = { on_busy: "steer" as const, system_prompt: "Be long." };
  const joined = await session.send("two", steer);
  await session.open(gate);
  await session.outcome(joined);
  expect(prompts()).toEqual(["Be brief.", "Be brief."]);
  expect(await promptOf(session)).toBe("Be brief.");
  await session.turn("three", steer);
  expect(prompts().at(-1)).toBe("Be long.");
});

test("the text of a message's prompt is in its row, once, and in no event", async () => {
  const session = await sessions.create();
  sessions.script(text("one"), text("two"));
  await session.turn("one", { system_prompt: "A secret of the house." });
  await session.turn("two", { system_prompt: "A secret of the house." });
  const brought = session.reader.rows.flatMap((row) =>
    row.type === "input" ? [row.body.options.system_prompt] : [],
  );
  expect(brought).toEqual(["A secret of the house.", undefined]);
  expect(prompts()).toEqual(["A secret of the house.", "A secret of the house."]);
  const shown = session.reader.frames.map(({ data }) => data).join("");
  expect(shown).not.toContain("secret");
});

test("an epoch that the API makes a turn begin anew keeps the turn's prompt", async () => {
  const session = await sessions.create({ system: "Be brief.", tools: A });
  sessions.script([thinking("hm"), toolUse("a", {})]);
  await session.turn("one");
  await session.update({ system_prompt: "Be long." });
  const message = "messages.1.content.0: Invalid `signature` in `thinking` block";
  sessions.script(httpError(400, { message }), text("done"));
  const [call = ""] = await session.pending();
  await session.outcome(await session.results({ [call]: "x" }));
  expect(cuts(session)).toEqual(["gone"]);
  await talk(session, "two");
  expect(prompts()).toEqual(["Be brief.", "Be brief.", "Be brief.", "Be long."]);
});

test("a new model brings the new prompt along in one epoch", async () => {
  const session = await sessions.create({ system: "Be brief." });
  await talk(session, "one");
  await session.update({ system_prompt: "Be long.", model: "claude-opus-5-5" });
  await talk(session, "two", "three");
  expect(cuts(session)).toEqual(["model"]);
  expect(prompts()).toEqual(["Be brief.", "Be long.", "Be long."]);
});

test("a compaction between reads the cache of the old one", async () => {
  const session = await sessions.create({ system: "Be brief.", model: PLAIN });
  await talk(session, "one");
  await session.update({ system_prompt: "Be long." });
  sessions.script(text("They said one."));
  expect(await done(session)).toMatchObject({ type: "context.compacted" });
  await talk(session, "two");
  expect(prompts()).toEqual(["Be brief.", "Be brief.", "Be long."]);
  expect(said()).toContain("They said one.");
});

test("a call that finds less in the cache because of it says so", async () => {
  const session = await sessions.create({ system: "Be brief. ".repeat(2_000) });
  await talk(session, "one");
  await session.update({ system_prompt: "Be long. ".repeat(2_000) });
  await talk(session, "two");
  const last = session.reader.rows.findLast(({ type }) => type === "call.ended");
  expect(last?.body).toMatchObject({ cache_miss: { reason: "changed_system" } });
});

test("an object that died knows it, and does not take what it knows already for new", async () => {
  const session = await sessions.create({ system: "Be brief." });
  await talk(session, "one");
  await session.update({ system_prompt: "Be long." });
  await session.crash();
  await talk(session, "two");
  await session.crash();
  await session.update({ system_prompt: "Be long." });
  await talk(session, "three");
  expect(prompts()).toEqual(["Be brief.", "Be long.", "Be long."]);
  expect(cuts(session)).toEqual(["system"]);
});

test("a prompt that comes in parts is the same as one that comes whole", async () => {
  const long = "Be very long. ".repeat(90_000);
  const session = await sessions.create({ system: "Be brief." });
  await session.update({ metadata: { a: 1 } });
  session.prompts.push(long);
  const metadata = { text: "x".repeat(10_000) };
  const answer = await submit(
    session.stub,
    {
      v: 1,
      submission: ulid(),
      command: { kind: "update", config: { system_prompt: long, metadata } },
    },
    [],
  );
  expect(answer).toMatchObject({ ok: true, session: { metadata } });
  await talk(session, "one");
  await session.crash();
  const again = { system_prompt: long };
  await submit(
    session.stub,
    { v: 1, submission: ulid(), command: { kind: "update", config: again } },
    [],
  );
  await talk(session, "two");
  expect(prompts()).toEqual([long, long]);
  expect(cuts(session)).toEqual([]);
  expect(await promptOf(session)).toBe(long);
});

test("a message's prompt that comes in parts is the same as one that comes whole", async () => {
  const long = "Be very long. ".repeat(90_000);
  const session = await sessions.create({ system: "Be brief." });
  await talk(session, "one");
  session.prompts.push(long);
  sessions.script(text("two"));
  const options = {
    toolset: null,
    tool_choice: null,
    parallel_tool_calls: null,
    system_prompt: long,
  };
  const answer = await submit(
    session.stub,
    {
      v: 1,
      submission: ulid(),
      command: {
        kind: "input",
        content: [{ type: "text", text: "two" }],
        on_busy: "queue",
        options,
        limits: { plain: 8, tools: 4 },
        replay: false,
        hash: ulid(),
      },
    },
    [],
  );
  await session.outcome(accepted(answer));
  await session.update({ system_prompt: long });
  await session.crash();
  await talk(session, "three");
  expect(prompts()).toEqual(["Be brief.", long, long]);
  expect(cuts(session)).toEqual(["system"]);
  expect(await promptOf(session)).toBe(long);
});
