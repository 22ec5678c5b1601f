/** Many at once: streams, requests with one key, and methods that a stream does not expect. */
import { expect, test } from "vitest";
import { createGate } from "../../src/standin/gate.ts";
import { holdAt, reply, text } from "../../src/standin/replies.ts";
import {
  get,
  inside,
  newSession,
  post,
  rowsOf,
  send,
  serverWith,
  standin,
  withStandin,
} from "../api/cc/server.ts";
import { HostileClient, logged, untilAttached, wholeLog } from "./clients.ts";

withStandin();

const COUNT = 100;

const times = <T>(count: number, make: (n: number) => T): T[] =>
  Array.from({ length: count }, (_, n) => make(n));

test("a hundred streams of one client on one session all have every frame", async () => {
  const session = await newSession();
  const path = `${session}/events/stream`;
  const clients = await Promise.all(times(COUNT, () => HostileClient.open(path)));
  await untilAttached(session, COUNT);
  const gate = createGate();
  const deltas = ["One ", "two ", "three."];
  standin.script(
    reply({
      blocks: [text(deltas.join(""), { deltas })],
      acts: [holdAt({ block: 0, delta: 1 }, gate)],
    }),
  );
  const turn = post(`${session}/turns`, { input: "Count." });
  await Promise.all(clients.map((one) => one.readUntil((it) => it.has("assistant.delta"))));
  // Half of them come back with what they have, while the message goes on.
  const back = clients.map(async (client, n) => {
    if (n % 2 === 0) return client;
    client.leave();
    return HostileClient.open(path, { headers: { "last-event-id": client.cursor } });
  });
  const now = await Promise.all(back);
  await untilAttached(session, COUNT + 1);
  await inside(session, () => gate.open());
  expect((await turn).status).toBe(200);
  await Promise.all(now.map((one) => one.readUntil((it) => it.has("turn.completed"))));
  const whole = await wholeLog(session);
  for (const [n, client] of clients.entries()) {
    const frames =
      now[n] === client ? client.frames : [...client.frames, ...(now[n]?.frames ?? [])];
    expect(logged(frames)).toEqual(logged(whole));
    const pieces = frames.filter(({ event }) => event === "assistant.delta");
    expect(pieces.map(({ data }) => Object(data.data).text).join("")).toBe(deltas.join(""));
  }
  for (const client of now) client.leave();
  await untilAttached(session, 0);
});

test("a client with many sessions open at once gets each one's frames and no other's", async () => {
  const sessions = await Promise.all(times(30, (n) => newSession({ title: `no. ${n}` })));
  const clients = await Promise.all(
    sessions.map((session) => HostileClient.open(`${session}/events/stream`)),
  );
  await Promise.all(sessions.map((one, n) => send("PATCH", one, { title: `again ${n}` })));
  for (const [n, client] of clients.entries()) {
    await client.readToRow(2);
    client.leave();
    const titles = client.frames.map(({ data }) => Object(data.data).title);
    expect(titles).toEqual([`no. ${n}`, `again ${n}`]);
  }
});

test("a hundred POSTs with one Idempotency-Key are one turn, as JSON and as streams", async () => {
  const session = await newSession();
  standin.script(text("Only once."));
  const headers = { "idempotency-key": "same" };
  const answers = await Promise.all(
    times(COUNT, (n) =>
      HostileClient.open(`${session}/turns`, {
        method: "POST",
        headers: { ...headers, accept: n % 2 === 0 ? "application/json" : "text/event-stream" },
        body: { input: "Hi" },
      }),
    ),
  );
  const texts = await Promise.all(
    answers.map(async ({ response }, n) => {
      const answer = answers[n];
      expect(response.status).toBe(200);
      await answer?.readToEnd();
      return answer ? { json: answer.raw, frames: logged(answer.frames) } : null;
    }),
  );
  const replayed = answers.filter(({ response }) => response.headers.has("idempotency-replayed"));
  expect(replayed).toHaveLength(COUNT - 1);
  expect(new Set(texts.filter((_, n) => n % 2 === 0).map((one) => one?.json)).size).toBe(1);
  const streams = texts.filter((_, n) => n % 2 === 1).map((one) => one?.frames);
  expect(streams.every((one) => one?.at(-1)?.endsWith(" done"))).toBe(true);
  expect(new Set(streams.map((one) => JSON.stringify(one))).size).toBe(1);
  expect(await rowsOf(session, "input")).toHaveLength(1);
  expect(standin.requests).toHaveLength(1);
});

test("of a hundred POSTs with one key and different bodies one is taken", async () => {
  const session = await newSession();
  standin.script(text("Only once."));
  const answers = await Promise.all(
    times(COUNT, (n) =>
      post(`${session}/turns`, { input: `no. ${n}` }, { "idempotency-key": "same" }),
    ),
  );
  const statuses = answers.map(({ status }) => status).toSorted();
  expect(statuses).toEqual([200, ...Array(COUNT - 1).fill(409)]);
  expect(await rowsOf(session, "input")).toHaveLength(1);
});

test("HEAD tells what GET would and holds nothing open", async () => {
  const session = await newSession();
  const path = `${session}/events/stream`;
  const head = await send("HEAD", path);
  const body = await HostileClient.open(path);
  const described = (response: Response) =>
    [...response.headers].filter(([name]) => name !== "x-request-id");
  expect([head.status, head.body]).toEqual([200, null]);
  expect(described(head)).toEqual(described(body.response));
  body.leave();
  await untilAttached(session, 0);
  const missing = session.replace(/.{4}$/, "ZZZZ");
  expect((await send("HEAD", `${missing}/events/stream`)).status).toBe(404);
  expect((await send("HEAD", `${path}?after=x`)).status).toBe(400);
  expect((await send("HEAD", `${session}/events`)).status).toBe(200);
});

test("OPTIONS on a stream is 405 with what is allowed, or an allowed page's preflight", async () => {
  const session = await newSession();
  for (const [path, allow] of [
    ["/events/stream", "GET, HEAD"],
    ["/events", "GET, HEAD"],
    ["/turns", "POST, GET, HEAD"],
  ]) {
    const response = await send("OPTIONS", session + path);
    expect([path, response.status, response.headers.get("allow")]).toEqual([path, 405, allow]);
  }
  const page = serverWith({ CORS_ORIGINS: "https://page.example" });
  const preflight = await page("OPTIONS", `${session}/events/stream`, undefined, {
    origin: "https://page.example",
    "access-control-request-method": "GET",
    "access-control-request-headers": "last-event-id",
  });
  expect(preflight.status).toBe(204);
  expect(preflight.headers.get("access-control-allow-headers")).toContain("last-event-id");
  await untilAttached(session, 0);
  expect((await get(`${session}/turns`)).status).toBe(200);
});
