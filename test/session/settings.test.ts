/** Settings of a session and of a turn: what holds for which request, and what is said of it. */
import { describe, expect, onTestFinished, test } from "vitest";
import type { JsonObject } from "../../src/shared/content.ts";
import type { Row } from "../../src/shared/rows.ts";
import type { ModelFacts, ModelSettings } from "../../src/shared/settings.ts";
import { httpError, text, thinking, toolUse } from "../../src/standin/replies.ts";
import { FAR_FUTURE, FakeClock } from "../support/fake-clock.ts";
import {
  advanceToRetry,
  held,
  reached,
  type TestSession,
  toolset,
  useSessions,
} from "../support/sessions.ts";

const sessions = useSessions();

const FIELDS = [
  "thinking",
  "output_config",
  "stop_sequences",
  "service_tier",
  "speed",
  "metadata",
] as const;

/** The settings in request `i`. */
function sent(i: number): JsonObject {
  const body = sessions.requests[i]?.body;
  if (typeof body !== "object" || body === null || Array.isArray(body)) throw new Error(`no ${i}`);
  return Object.fromEntries(FIELDS.filter((name) => name in body).map((f) => [f, body[f] ?? null]));
}

const effort = (i: number) => sent(i).output_config;

const notices = ({ reader }: TestSession): string[] =>
  reader.rows.flatMap((row) => (row.type === "notice" ? [row.body.code] : []));

const ON = { type: "adaptive", display: "summarized" };

test("a turn has the session's settings, but for those that it sets itself", async () => {
  const session = await sessions.create({
    model: "claude-opus-5-5",
    settings: { effort: "low", stop_sequences: ["END"], user_id: "u-1", service_tier: "auto" },
  });
  sessions.script(text("one"), text("two"), text("three"));
  await session.turn("1");
  const own: ModelSettings = {
    effort: "max",
    stop_sequences: [],
    thinking: { type: "adaptive", display: "omitted" },
    speed: "fast",
  };
  await session.turn("2", { settings: own });
  await session.turn("3");
  const plain = {
    thinking: ON,
    output_config: { effort: "low" },
    stop_sequences: ["END"],
    service_tier: "auto",
    metadata: { user_id: "u-1" },
  };
  expect(sent(0)).toEqual(plain);
  expect(sent(1)).toEqual({
    thinking: { type: "adaptive", display: "omitted" },
    output_config: { effort: "max" },
    service_tier: "auto",
    speed: "fast",
    metadata: { user_id: "u-1" },
  });
  expect(sent(2)).toEqual(plain);
});

test("a change holds from the next message on, and null takes a setting back", async () => {
  const session = await sessions.create({ settings: { effort: "low" } });
  const { reply, gate } = held("request", [toolUse("look", {})]);
  sessions.script(reply, text("done"), text("later"), text("last"));
  const first = await session.send("go", { tools: toolset("look") });
  await reached(gate);
  await session.update({ settings: { effort: "high", user_id: "u-2" } });
  const queued = await session.send("and then", { tools: toolset("look") });
  await session.open(gate);
  expect(await session.outcome(first)).toMatchObject({ outcome: "requires_action" });
  const [call = ""] = await session.pending();
  const results = await session.results({ [call]: "seen" });
  await session.outcome(results);
  await session.outcome(queued);
  expect([0, 1, 2].map(effort)).toEqual([{ effort: "low" }, { effort: "low" }, { effort: "high" }]);
  await session.update({ settings: { effort: null } });
  await session.turn("last", { tools: toolset("look") });
  expect(sent(3)).toEqual({ thinking: ON, metadata: { user_id: "u-2" } });
});

test("tool results, and their repetition after a failure, go on with the turn's settings", async () => {
  const session = await sessions.create({ settings: { effort: "low" } });
  sessions.script([thinking("Hm."), toolUse("look", {})], httpError(401), text("done"));
  const tools = toolset("look");
  await session.turn("go", { tools, settings: { effort: "medium", stop_sequences: ["END"] } });
  const [call = ""] = await session.pending();
  expect(await session.outcome(await session.results({ [call]: "seen" }))).toMatchObject({
    outcome: "failed",
    code: "authentication",
  });
  await session.outcome(await session.results({ [call]: "seen" }));
  const own = { thinking: ON, output_config: { effort: "medium" }, stop_sequences: ["END"] };
  expect([0, 1, 2].map(sent)).toEqual([own, own, own]);
});

test("settings change without a cut, and thinking before them stays valid", async () => {
  const session = await sessions.create({ model: "claude-haiku-5-5" });
  const turns: ModelSettings[] = [
    { effort: "max" },
    { thinking: { type: "disabled" } },
    { effort: "low", thinking: { type: "adaptive", display: "omitted" } },
    {},
  ];
  for (const [i, settings] of turns.entries()) {
    const off = settings.thinking?.type === "disabled";
    sessions.script([...(off ? [] : [thinking(`thought ${i}`)]), text(`answer ${i}`)]);
    await session.turn(`message ${i}`, { settings });
  }
  expect(session.reader.rows.filter(({ type }) => type === "context.cut")).toEqual([]);
  const thoughts = sessions.messages(3).flatMap(({ content }) => content);
  expect(thoughts.filter(({ type }) => type === "thinking")).toHaveLength(2);
  expect(notices(session)).toEqual([]);
});

describe("a turn says once what did not apply", () => {
  const settings: ModelSettings = { thinking: { type: "disabled" } };
  const tools = toolset("look");

  test("over attempts, results and turns", async () => {
    const clock = new FakeClock(FAR_FUTURE);
    onTestFinished(() => clock.restore());
    const session = await sessions.create({ model: "claude-opus-5-5", settings });
    sessions.script(httpError(529), toolUse("look", {}), text("done"), text("again"));
    const first = await session.send("go", { tools });
    await advanceToRetry(session, clock);
    await session.outcome(first);
    const [call = ""] = await session.pending();
    const choice = { type: "any" } as const;
    await session.outcome(await session.results({ [call]: "seen" }, { tool_choice: choice }));
    expect(notices(session)).toEqual(["thinking_not_applied", "tool_choice_not_forced"]);
    await session.turn("more", { tools });
    expect(notices(session)).toHaveLength(3);
    const notice = session.reader.rows.find((row) => row.type === "notice");
    expect(notice?.body).toEqual({
      turn: 2,
      code: "thinking_not_applied",
      message: 'Claude Opus 5.5 does not take thinking "disabled"; "adaptive" was sent.',
    });
  });

  test("over the death of the object", async () => {
    const session = await sessions.create({ model: "claude-opus-5-5", settings });
    const { reply, gate } = held("request", [text("again")]);
    const cut = held({ block: 0, delta: 1 }, [text("Hello there", { deltas: ["Hello", " all"] })]);
    sessions.script(cut.reply, reply);
    const first = await session.send("go");
    await session.reader.until(() => session.reader.previewed === "Hello");
    await session.crash();
    await session.reader.row("call.started", ({ seq }) => seq > 5);
    await reached(gate);
    await session.open(gate);
    await session.outcome(first);
    expect(notices(session)).toEqual(["thinking_not_applied"]);
  });
});

test("a new model takes what it can of the settings, and no thinking of the old one", async () => {
  const session = await sessions.create({
    model: "claude-opus-5",
    settings: {
      thinking: { type: "disabled" },
      effort: "xhigh",
      speed: "fast",
      stop_sequences: ["END"],
    },
  });
  const models = [
    "claude-opus-5",
    "claude-sonnet-5-5",
    "claude-haiku-4-5",
    "claude-opus-5-5",
    "claude-opus-5",
  ];
  for (const [i, model] of models.entries()) {
    if (i > 0) await session.switchModel(model);
    const off = model === "claude-opus-5" || model === "claude-haiku-4-5";
    sessions.script([...(off ? [] : [thinking(`thought ${i}`)]), text(`answer ${i}`)]);
    expect(await session.turn(`message ${i}`)).toMatchObject({ outcome: "completed" });
  }
  const stop_sequences = ["END"];
  const high = { effort: "high" };
  const xhigh = { effort: "xhigh" };
  expect(models.map((_, i) => sent(i))).toEqual([
    { thinking: { type: "disabled" }, output_config: high, speed: "fast", stop_sequences },
    { thinking: { type: "between_tools" }, output_config: xhigh, stop_sequences },
    { stop_sequences },
    { thinking: ON, output_config: xhigh, speed: "fast", stop_sequences },
    { thinking: { type: "disabled" }, output_config: high, speed: "fast", stop_sequences },
  ]);
  const betas = sessions.requests.map(({ headers }) => headers["anthropic-beta"]);
  const beta = "fast-mode-2026-02-01";
  expect(betas).toEqual([beta, undefined, undefined, undefined, beta]);
  expect(notices(session)).toEqual([
    "effort_not_applied",
    ...["thinking_not_applied", "speed_not_applied"],
    ...["effort_not_applied", "speed_not_applied"],
    "thinking_not_applied",
    "effort_not_applied",
  ]);
  const cuts = session.reader.rows.flatMap((row) =>
    row.type === "context.cut" ? [row.body.reason] : [],
  );
  expect(cuts).toEqual(["model", "model", "model", "model"]);
  for (const i of [1, 2, 3, 4]) {
    const kinds = sessions.messages(i).flatMap(({ content }) => content.map(({ type }) => type));
    expect(kinds).not.toContain("thinking");
  }
});

test("the session says how long the cache keeps what it is sent", async () => {
  const session = await sessions.create({ cache_ttl: "1h" });
  sessions.script(text("one"), text("two"));
  await session.turn("x ".repeat(6_000));
  await session.update({ cache_ttl: "5m" });
  await session.turn("more");
  const marks = (i: number) =>
    [...(sessions.requests[i]?.text ?? "").matchAll(/"cache_control":(\{[^}]*\})/g)].map(
      ([, mark = ""]) => JSON.parse(mark),
    );
  const hour = { type: "ephemeral", ttl: "1h" };
  expect(marks(0)).toEqual([hour, hour]);
  expect(marks(1)).toEqual(Array(3).fill({ type: "ephemeral" }));
  const started = session.reader.rows.filter(
    (row): row is Row & { type: "call.started" } => row.type === "call.started",
  );
  expect(started.map(({ body }) => body.ttl)).toEqual(["1h", "5m"]);
  const [first] = session.reader.rows.filter(
    (row): row is Row & { type: "call.ended" } => row.type === "call.ended",
  );
  const { usage } = first?.body ?? {};
  expect(usage?.cache_creation_1h_input_tokens).toBe(usage?.cache_creation_input_tokens);
  expect(usage?.cache_creation_1h_input_tokens).toBeGreaterThan(1_024);
});

const shownThinking = ({ reader }: TestSession) =>
  reader.frames
    .filter(({ event }) => event?.startsWith("thinking."))
    .map(({ event, data }) => [event, JSON.parse(data).data.text]);

test("omitted thinking comes without its text, and is sent back all the same", async () => {
  const session = await sessions.create({
    settings: { thinking: { type: "adaptive", display: "omitted" } },
  });
  sessions.script([thinking("A plan."), toolUse("look", {})], text("done"));
  await session.turn("go", { tools: toolset("look") });
  const [call = ""] = await session.pending();
  await session.outcome(await session.results({ [call]: "seen" }));
  const [answer] = sessions.messages(1).filter(({ role }) => role === "assistant");
  expect(answer?.content[0]).toMatchObject({ type: "thinking", thinking: "" });
  expect(shownThinking(session)).toEqual([["thinking.completed", ""]]);
});

test("requests of a model that only the API knows follow what its row says, in its epoch", async () => {
  const session = await sessions.create({ model: "claude-opus-5" });
  sessions.script(text("one"));
  await session.turn("1");
  const facts: ModelFacts = {
    name: "Claude New 9",
    max_input_tokens: 500_000,
    max_tokens: 9_000,
    thinking: ["adaptive", "between_tools"],
    effort: ["low", "medium"],
    server_tools: false,
    structured_outputs: true,
  };
  await session.update({ model: "claude-new-9", model_facts: facts, settings: { effort: "max" } });
  sessions.standin.expectRefusal(2);
  expect(await session.turn("2")).toMatchObject({ outcome: "failed", code: "model_not_found" });
  expect(sessions.standin.requests.at(-1)?.body).toMatchObject({
    model: "claude-new-9",
    max_tokens: 9_000,
    thinking: ON,
    output_config: { effort: "medium" },
  });
  // The API's word of today does not change the requests of an epoch that is there.
  await session.update({ model: "claude-new-9" });
  expect(await session.turn("3")).toMatchObject({ outcome: "failed" });
  expect(sessions.standin.requests.at(-1)?.body).toMatchObject({
    max_tokens: 9_000,
    output_config: { effort: "medium" },
  });
  await session.switchModel("claude-opus-5");
  sessions.script(text("four"));
  await session.turn("4");
  expect(sent(1)).toMatchObject({ output_config: { effort: "max" } });
});
