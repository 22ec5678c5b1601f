/** What only a real network can do to a model call. */
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { dataFolder, startedServer } from "./support.ts";

const KEY = "sk-ant-api03-PLANTED-0123456789";

/** Listens on a local port and does with each connection what comes next; gives the address. */
async function listening(...next: ((socket: Socket, server: Server) => void)[]): Promise<{
  url: string;
  /** What each connection sent first. */
  heard: string[];
}> {
  const heard: string[] = [];
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", (data) => {
      heard.push(data.toString());
      next.shift()?.(socket, server);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const address = server.address();
  const port = typeof address === "object" ? address?.port : 0;
  return { url: `http://127.0.0.1:${port}`, heard };
}

const HEAD =
  "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

const chunk = (text: string): string => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;

const frame = (data: { type: string; [field: string]: unknown }): string =>
  `event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`;

const usage = { input_tokens: 9, output_tokens: 2 };
const START = frame({ type: "message_start", message: { usage } });
const ANSWER = [
  START,
  frame({ type: "content_block_start", index: 0, content_block: { type: "text", text: "" } }),
  frame({ type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "Hello" } }),
  frame({ type: "content_block_stop", index: 0 }),
  frame({ type: "message_delta", delta: { stop_reason: "end_turn" }, usage }),
  frame({ type: "message_stop" }),
].join("");

/** Headers without an end, at the pace of the reader. */
function endlessHeaders(socket: Socket): void {
  const more = (): void => {
    while (!socket.destroyed && socket.write(`x-more: ${"x".repeat(1_000)}\r\n`));
  };
  socket.on("drain", more);
  socket.write("HTTP/1.1 200 OK\r\n");
  more();
}

test("broken connections are tried again, a redirect does not get the key", async () => {
  const elsewhere = await listening();
  const upstream = await listening(
    endlessHeaders,
    (socket) => socket.destroy(),
    (socket) => socket.end("SSH-2.0-OpenSSH_9.6\r\n"),
    (socket) => socket.write(HEAD + chunk(START), () => socket.resetAndDestroy()),
    (socket) => socket.end(`${HEAD}${chunk(ANSWER)}0\r\n\r\n`),
    (socket) =>
      socket.end(
        `HTTP/1.1 307 Moved\r\nlocation: ${elsewhere.url}/v1/messages\r\ncontent-length: 0\r\n\r\n`,
      ),
  );
  const server = await startedServer(await dataFolder(), {
    ANTHROPIC_API_KEY: KEY,
    ANTHROPIC_BASE_URL: upstream.url,
  });
  const post = (path: string, body: object) =>
    fetch(server.url + path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
  const { id } = (await (await post("/api/sessions", {})).json()) as { id: string };
  const answered = await post(`/api/sessions/${id}/turns`, { input: "hi" });
  expect(await answered.json()).toMatchObject({ outcome: "completed", output_text: "Hello" });
  const refused = await post(`/api/sessions/${id}/turns`, { input: "again" });
  expect(refused.status).toBe(502);
  expect(await refused.json()).toMatchObject({
    code: "upstream_refused",
    detail: expect.stringContaining("ANTHROPIC_BASE_URL"),
  });
  expect(elsewhere.heard).toEqual([]);
  const events = await (await fetch(`${server.url}/api/sessions/${id}/events?limit=1000`)).text();
  const codes = [...events.matchAll(/"type":"turn.retrying".*?"code":"(\w+)"/g)].map(
    ([, code]) => code,
  );
  expect(codes).toEqual([
    "connection_failed",
    "connection_failed",
    "connection_failed",
    "stream_cut",
  ]);
  expect(upstream.heard.every((request) => request.includes(KEY))).toBe(true);
  expect(events + server.output()).not.toContain("PLANTED");
});
