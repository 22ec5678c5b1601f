import { expect, test } from "vitest";
import { Reader } from "../../scripts/reader.ts";
import { createGate } from "../../src/standin/gate.ts";
import { holdAt, httpError, reply, text } from "../../src/standin/replies.ts";
import { freshReader, untilTime, World } from "./support.ts";

test("a turn whose server is killed in mid-message goes on, and its readers miss nothing", async () => {
  const world = await World.create();
  const { standin, client } = world;
  const gate = createGate();
  standin.script(
    reply({
      blocks: [text("Never to be finished, alas.")],
      acts: [holdAt({ block: 0, delta: 1 }, gate)],
    }),
    text("The whole answer."),
  );
  const { id } = await client.createSession();
  const poster = new Reader();
  const follower = new Reader();
  const posted = poster.visit(client.streamTurn(id, { input: "Tell me." }), "done");
  await follower.visit(client.events(id, "0"), "assistant.delta");
  const broken = follower.visit(client.events(id, follower.cursor), "turn.completed");
  await gate.waitUntilReached();

  await world.server.kill();
  expect(await posted).toBeNull();
  expect(await broken).toBeNull();
  expect(follower.view.blocks.map((block) => [block.text, block.done])).toEqual([
    ["Never to be fini", false],
  ]);

  await world.restart();
  await follower.visit(client.events(id, follower.cursor), "turn.completed");
  await poster.visit(client.events(id, poster.cursor), "turn.completed");
  const fresh = await freshReader(client, id, "turn.completed");
  expect(follower.view).toEqual(fresh.view);
  expect(poster.view).toEqual(fresh.view);
  expect(follower.rows).toEqual(fresh.rows);
  expect(poster.rows).toEqual(fresh.rows.slice(1));

  const dropped = follower.frames.find(({ event }) => event === "call.completed");
  expect(dropped?.data.data).toMatchObject({ end: "lost" });
  const result = follower.frames.at(-1)?.data.data;
  expect(result).toMatchObject({ outcome: "completed", output_text: "The whole answer." });
  expect(standin.requests).toHaveLength(2);
});

test("a turn that waits to try again does so after a restart, with nobody attached", async () => {
  const world = await World.create();
  const { standin, client } = world;
  standin.script(httpError(529, { retryAfter: 3 }), text("Better now."));
  const { id } = await client.createSession();
  await client.detachedTurn(id, { input: "Try." });
  const reader = new Reader();
  const retrying = await reader.visit(client.events(id, "0"), "turn.retrying");

  await world.server.kill();
  await untilTime(Date.parse(String(retrying?.data.data?.at)));
  expect(standin.requests).toHaveLength(1);
  await world.restart();
  // Nobody has asked the session for anything: only its alarm can have done this.
  await standin.arrived(2);

  await reader.visit(client.events(id, reader.cursor), "turn.completed");
  const fresh = await freshReader(client, id, "turn.completed");
  expect(reader.rows).toEqual(fresh.rows);
  expect(reader.frames.at(-1)?.data.data).toMatchObject({ output_text: "Better now." });
});

test("a turn that nobody reads goes on after a kill, with nobody attached", async () => {
  const world = await World.create();
  const { standin, client } = world;
  const gate = createGate();
  standin.script(
    reply({
      blocks: [text("Lost with the server.")],
      acts: [holdAt({ block: 0, delta: 1 }, gate)],
    }),
    text("Said again."),
  );
  const { id } = await client.createSession();
  await client.detachedTurn(id, { input: "Speak." });
  await gate.waitUntilReached();

  await world.server.kill();
  await world.restart();
  await standin.arrived(2);
  const reader = await freshReader(client, id, "turn.completed");
  expect(reader.frames.at(-1)?.data.data).toMatchObject({ output_text: "Said again." });
});

test("a server that is stopped and started again has everything, and goes on", async () => {
  const world = await World.create();
  const { standin, client } = world;
  const gate = createGate();
  standin.script(
    text("First answer."),
    reply({ blocks: [text("Second answer, cut.")], acts: [holdAt({ block: 0, delta: 1 }, gate)] }),
    text("Second answer."),
  );
  const { id } = await client.createSession();
  const first = await client.turn(id, { input: "One." });
  expect(first.output_text).toBe("First answer.");
  const reader = new Reader();
  const stream = client.streamTurn(id, { input: "Two." });
  await reader.until(stream, "assistant.delta");
  const rest = reader.visit(stream, "done");
  await gate.waitUntilReached();

  expect(await world.server.stop()).toBe(0);
  expect(await rest).toBeNull();
  await expect(client.session(id)).rejects.toThrow("fetch failed");

  await world.restart();
  const last = await reader.visit(client.events(id, reader.cursor), "turn.completed");
  expect(last?.data.data).toMatchObject({ output_text: "Second answer." });
  expect(standin.requests.at(-1)?.body).toMatchObject({
    messages: [{ role: "user" }, { role: "assistant" }, { role: "user" }],
  });
});

test("a reader that comes back in mid-message gets exactly what it has missed", async () => {
  const { standin, client } = await World.create();
  const [middle, later] = [createGate(), createGate()];
  const answer = "One two three four five six seven eight nine ten eleven twelve.";
  standin.script(
    reply({
      blocks: [text(answer)],
      acts: [holdAt({ block: 0, delta: 2 }, middle), holdAt({ block: 0, delta: 3 }, later)],
    }),
  );
  const { id } = await client.createSession();
  await client.detachedTurn(id, { input: "Count." });
  const reader = new Reader();
  const seen = () => reader.deltas.join("").length;
  await reader.visit(client.events(id, "0"), "assistant.delta", () => seen() === 32);
  // Away while the message goes on.
  middle.open();
  await later.waitUntilReached();
  await reader.visit(client.events(id, reader.cursor), "assistant.delta");
  expect(reader.deltas.at(-1)).toBe(answer.slice(32, 48));

  later.open();
  const end = await reader.visit(client.events(id, reader.cursor), "turn.completed");
  expect(end?.data.data).toMatchObject({ output_text: answer });
});
