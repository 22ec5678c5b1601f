/** Clients with sockets of their own, which follow no rule but those of TCP. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { Client } from "../../scripts/client.ts";
import { Reader } from "../../scripts/reader.ts";
import { startServer } from "../../scripts/server.ts";
import { createGate } from "../../src/standin/gate.ts";
import { holdAt, reply, text } from "../../src/standin/replies.ts";
import { dataFolder, startedServer, World } from "./support.ts";

/** A connection that sends bytes as they are and keeps what comes. */
class Raw {
  readonly socket: Socket;
  #got = "";
  #waiting: (() => void) | null = null;

  constructor(url: string) {
    const { hostname, port } = new URL(url);
    // Its own half stays open until it says otherwise.
    this.socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true });
    this.socket.on("data", (chunk) => {
      this.#got += chunk.toString("latin1");
      this.#waiting?.();
    });
    this.socket.on("end", () => this.#waiting?.());
    // A broken connection is what some of these tests are about.
    this.socket.on("error", () => this.#waiting?.());
    onTestFinished(() => void this.socket.destroy());
  }

  get got(): string {
    return this.#got;
  }

  /** Sends; the blank line at the end of a head has to be part of it. */
  send(bytes: string | Buffer): this {
    this.socket.write(bytes);
    return this;
  }

  /** Reads until it has got this text or the server has closed its half. */
  async until(seen: (got: string) => boolean): Promise<string> {
    while (!seen(this.#got) && !this.socket.readableEnded && !this.socket.destroyed) {
      await new Promise<void>((resolve) => {
        this.#waiting = resolve;
      });
    }
    return this.#got;
  }

  untilText(part: string): Promise<string> {
    return this.until((got) => got.includes(part));
  }
}

const head = (url: string, method: string, path: string, ...headers: string[]): string =>
  [`${method} ${path} HTTP/1.1`, `Host: ${new URL(url).host}`, ...headers, "", ""].join("\r\n");

/** Ids of the frames in a raw response. */
const idsIn = (got: string): string[] =>
  [...got.matchAll(/^id: (\S+)\r?$/gm)].map(([, id = ""]) => id);

async function rename(server: Client, id: string, fields: object): Promise<void> {
  const init = { method: "PATCH", body: JSON.stringify(fields) };
  const response = await fetch(`${server.url}/api/sessions/${id}`, init);
  expect(response.status).toBe(200);
  await response.body?.cancel();
}

async function remove(server: Client, id: string): Promise<void> {
  const response = await fetch(`${server.url}/api/sessions/${id}`, { method: "DELETE" });
  expect(response.status).toBe(200);
  await response.body?.cancel();
}

async function server(): Promise<Client> {
  const { url } = await startedServer(await dataFolder(), { STANDIN_PACE_MS: "0" });
  return new Client(url);
}

test("a client that closes its half of the connection still gets its stream", async () => {
  const client = await server();
  const { id } = await client.createSession();
  const raw = new Raw(client.url);
  raw.send(head(client.url, "GET", `/api/sessions/${id}/events/stream`));
  await raw.untilText("session.created");
  raw.socket.end();
  await client.turn(id, { input: "Hello." });
  expect(await raw.untilText("event: turn.completed")).toContain("event: turn.completed");
  expect(idsIn(raw.got)).toEqual([...new Set(idsIn(raw.got))]);
});

test("requests sent together on one connection are answered in their order", async () => {
  const client = await server();
  const { id } = await client.createSession();
  const { url } = client;
  const body = JSON.stringify({ input: "Hello." });
  const length = `Content-Length: ${body.length}`;
  const raw = new Raw(url);
  raw.send(
    [
      head(url, "GET", `/api/sessions/${id}?first`),
      head(url, "POST", `/api/sessions/${id}/turns`, "Content-Type: application/json", length) +
        body,
      head(url, "GET", `/api/sessions/${id}/events?limit=1`),
      head(url, "GET", `/api/sessions/${id}/events/stream`),
      head(url, "GET", "/healthz"),
    ].join(""),
  );
  await raw.untilText("event: turn.completed");
  const order = [
    '"object":"session"',
    '"object":"turn"',
    '"has_more":true',
    "event: session.created",
  ];
  const places = order.map((part) => raw.got.indexOf(part));
  expect(places).toEqual(places.toSorted((one, other) => one - other));
  expect(places.every((place) => place > 0)).toBe(true);
  // A stream has no end, so what was asked behind it waits, and others do not.
  expect(raw.got).not.toContain('{"status":"ok"}');
  expect((await client.session(id)).status).toBe("idle");
});

/** Requests that are begun, and what may come next of them without ending them. */
const BEGUN: ((url: string, turns: string) => { begin: string; more: string })[] = [
  (url, turns) => ({
    begin: `${head(url, "POST", turns, "Content-Length: 1000000")}{"input": "`,
    more: "a",
  }),
  (url, turns) => ({
    begin: `${head(url, "POST", turns, "Transfer-Encoding: chunked")}a\r\n{"input": \r\n`,
    more: "1\r\n \r\n",
  }),
  (url, turns) => ({
    begin: head(url, "POST", turns, "Expect: 100-continue", "Content-Length: 14"),
    more: "{",
  }),
  (_, turns) => ({ begin: `POST ${turns}`, more: "x" }),
  (url, turns) => ({
    begin: `POST ${turns} HTTP/1.1\r\nHost: ${new URL(url).host}\r\nX-Long: `,
    more: "v",
  }),
];

test("a hundred clients that never finish what they began keep nobody waiting", async () => {
  const { client, standin } = await World.create();
  const { id } = await client.createSession();
  const begun = Array.from({ length: 100 }, (_, n) => {
    const make = BEGUN[n % BEGUN.length];
    const { begin = "", more = "" } = make?.(client.url, `/api/sessions/${id}/turns`) ?? {};
    return { raw: new Raw(client.url).send(begin), more };
  });
  await Promise.all(begun.map(({ raw }) => raw.socket.pending && once(raw.socket, "connect")));

  standin.script(text("Served."), text("Served again."), text("At last."));
  expect((await client.turn(id, { input: "Hello?" })).output_text).toBe("Served.");
  // Byte by byte, while others are served.
  for (const { raw, more } of begun) raw.send(more);
  const reader = new Reader();
  await reader.visit(client.streamTurn(id, { input: "Still there?" }), "done");
  expect(reader.frames.at(-1)?.data.status).toBe("completed");
  for (const { raw, more } of begun) raw.send(more);

  // One of them finishes after all, and is answered as if it had not taken its time.
  const [, late] = begun;
  late?.raw.send('7\r\n"Late."\r\n1\r\n}\r\n0\r\n\r\n');
  expect(await late?.raw.untilText('"finish_reason"')).toContain('"output_text":"At last."');
  expect((await client.session(id)).status).toBe("idle");
});

const NOT_HTTP: [string, (url: string, path: string) => string | Buffer, string][] = [
  ["a TLS greeting", () => Buffer.from("1603010200010001fc0303", "hex"), "400"],
  ["no words at all", () => Buffer.from("00fffe0d0a0d0a", "hex"), "400"],
  ["a line without a version", () => "GET /\r\n\r\n", "400"],
  [
    "two lengths",
    (url, path) =>
      head(url, "POST", path, "Content-Length: 5", "Content-Length: 6").concat("abcdef"),
    "400",
  ],
  ["a length below nothing", (url, path) => head(url, "POST", path, "Content-Length: -5"), "400"],
  [
    "a megabyte of headers",
    (url, path) =>
      head(
        url,
        "GET",
        path,
        ...Array.from({ length: 1_000 }, (_, n) => `X-${n}: ${"v".repeat(1_000)}`),
      ),
    "431",
  ],
  [
    "an address of 200 KB",
    (url, path) => head(url, "GET", `${path}?${"q".repeat(200_000)}`),
    "414",
  ],
  [
    "a cursor that is no text",
    (url, path) =>
      Buffer.from(
        head(url, "GET", `${path}/events/stream`, "Last-Event-ID: 1\xff\xfe\x80"),
        "latin1",
      ),
    "400",
  ],
  [
    "a cursor in another script",
    (url, path) =>
      Buffer.from(head(url, "GET", `${path}/events/stream`, "Last-Event-ID: \u0661🙂")),
    "400",
  ],
  [
    "two cursors",
    (url, path) =>
      head(url, "GET", `${path}/events/stream`, "Last-Event-ID: 1", "Last-Event-ID: 0"),
    "400",
  ],
];

test("what is no request is refused, and others are served", async () => {
  const client = await server();
  const { id } = await client.createSession();
  for (const [what, bytes, status] of NOT_HTTP) {
    const raw = new Raw(client.url).send(bytes(client.url, `/api/sessions/${id}`));
    const got = await raw.untilText("\r\n\r\n");
    expect([what, got.slice(0, 12)]).toEqual([what, `HTTP/1.1 ${status}`]);
  }
  const many = Array.from({ length: 100 }, (_, n) => `X-${n}: ${"v".repeat(1_000)}`);
  const raw = new Raw(client.url).send(head(client.url, "GET", `/api/sessions/${id}`, ...many));
  expect(await raw.untilText(`"id":"${id}"`)).toMatch(/^HTTP\/1.1 200/);
  expect((await client.turn(id, { input: "Hello." })).outcome).toBe("completed");
});

/** A server that tells how many followers a session's object sends to. */
async function watchedServer(): Promise<{
  client: Client;
  sockets: (id: string) => Promise<number>;
}> {
  const { url, stop } = await startServer({
    host: "127.0.0.1",
    port: 0,
    data: await dataFolder(),
    // A turn in it goes on until it is stopped.
    variables: { ALLOW_ANONYMOUS: "true", STANDIN: "true", STANDIN_PACE_MS: "10000" },
    configPath: fileURLToPath(new URL("../e2e-worker/wrangler.toml", import.meta.url)),
  });
  onTestFinished(() => stop());
  const sockets = async (id: string) =>
    Number(await (await fetch(`${url}/test/sockets/${id}`)).text());
  return { client: new Client(url), sockets };
}

test("a client that stops reading is let go, others are not, and it gets exactly the rest", async () => {
  const { client, sockets } = await watchedServer();
  const { id } = await client.createSession();
  const path = `/api/sessions/${id}/events/stream`;
  const slow = new Raw(client.url).send(head(client.url, "GET", path));
  await slow.untilText("session.created");
  slow.socket.pause();
  const quick = new Reader();
  const all = quick.visit(client.events(id, "0"), "session.deleted");
  while ((await sockets(id)) < 2);
  await client.detachedTurn(id, { input: "Begin." });
  // They wait behind the first one, until all buffers between the Worker and the client are full,
  // and a megabyte more.
  for (let n = 0; (await sockets(id)) === 2; n++) {
    await client.detachedTurn(id, { input: `${n} ${"x".repeat(200_000)}` });
  }
  slow.socket.resume();
  await slow.untilText("slow_reader");
  const [seen, cut] = [idsIn(slow.got), /"cursor":"(\d+)"/.exec(slow.got)?.[1] ?? ""];
  expect(seen.at(-1)).toBe(cut);
  const back = new Reader();
  const rest = back.visit(client.events(id, cut), "session.deleted");
  while ((await sockets(id)) < 2);
  await remove(client, id);
  await Promise.all([all, rest]);
  const joined = [...seen.slice(0, -1), ...back.frames.map(({ id }) => id)];
  expect(joined).toEqual(quick.frames.map(({ id }) => id));
  expect(joined).toEqual([...new Set(joined)]);
});

test("two hundred clients that break their connections leave nothing with the session", async () => {
  const { client, sockets } = await watchedServer();
  const { id } = await client.createSession();
  const staying = new Reader();
  const stayed = staying.visit(client.events(id, "0"), "session.deleted");
  const path = `/api/sessions/${id}/events/stream`;
  for (let n = 0; n < 200; n++) {
    const raw = new Raw(client.url).send(head(client.url, "GET", path));
    // Some before they have an answer, some behind it, with and without a farewell.
    if (n % 4 >= 2) await raw.untilText("session.created");
    if (n % 2 === 0) raw.socket.resetAndDestroy();
    else raw.socket.destroy();
  }
  // The local proxy keeps to itself that a client has left, until something is sent to it.
  for (let n = 0; (await sockets(id)) > 1; n++) await rename(client, id, { title: `no. ${n}` });
  const { last_event_id: last } = await client.session(id);
  await remove(client, id);
  await stayed;
  expect(staying.frames.map(({ id }) => Number(id))).toEqual(
    Array.from({ length: last + 1 }, (_, n) => n + 1),
  );
});

test("a hundred streams of one client over sockets have every piece of a message", async () => {
  const { client, standin } = await World.create();
  const { id } = await client.createSession();
  const gate = createGate();
  const deltas = ["One ", "two ", "three."];
  standin.script(
    reply({
      blocks: [text(deltas.join(""), { deltas })],
      acts: [holdAt({ block: 0, delta: 1 }, gate)],
    }),
  );
  await client.detachedTurn(id, { input: "Count." });
  const readers = Array.from({ length: 100 }, () => new Reader());
  const streams = readers.map(() => client.events(id, "0"));
  const all = (event: string) =>
    Promise.all(streams.map((stream, n) => readers[n]?.until(stream, event)));
  await all("assistant.delta");
  gate.open();
  await all("turn.completed");
  for (const stream of streams) await stream.return(undefined);
  for (const reader of readers) {
    expect(reader.deltas.join("")).toBe(deltas.join(""));
    expect(reader.rows).toEqual(readers[0]?.rows);
  }
});
