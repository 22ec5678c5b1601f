import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:http";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import type { Standin } from "./standin.ts";
import { createStandin } from "./standin.ts";

const DEFAULT_PORT = 8788;
const DEFAULT_PACE_MS = 20;
const KEPT_REQUESTS = 100;

export interface StandinServer {
  /** Base URL without a trailing slash, for `ANTHROPIC_BASE_URL`. */
  readonly url: string;
  readonly standin: Standin;
  /** Ends all connections and the server. */
  close(): Promise<void>;
}

/**
 * Serves a stand-in on a local port.
 *
 * @param options.port 0, the default, takes a free one
 * @example
 * const server = await startStandinServer();
 * new Anthropic({ baseURL: server.url, apiKey: "any" });
 */
export async function startStandinServer(
  options: { readonly port?: number; readonly standin?: Standin } = {},
): Promise<StandinServer> {
  const standin = options.standin ?? createStandin({ friendly: true });
  const server = createServer((request, response) => {
    serve(standin, request, response).catch((error: unknown) => {
      // A scripted break, or the client has left.
      response.destroy(error instanceof Error ? error : undefined);
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port ?? 0, "127.0.0.1", resolve);
  });
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : options.port;
  return {
    url: `http://127.0.0.1:${port}`,
    standin,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function serve(
  standin: Standin,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const hangUp = new AbortController();
  response.on("close", () => {
    if (!response.writableFinished) hangUp.abort();
  });
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part);
  const headers = new Headers();
  for (const [name, value] of Object.entries(request.headers)) {
    if (value !== undefined) headers.set(name, Array.isArray(value) ? value.join(", ") : value);
  }
  const answer = await standin.fetch(`http://127.0.0.1${request.url ?? "/"}`, {
    method: request.method ?? "GET",
    headers,
    ...(parts.length > 0 ? { body: Buffer.concat(parts).toString("utf8") } : {}),
    signal: hangUp.signal,
  });
  response.writeHead(answer.status, Object.fromEntries(answer.headers));
  response.flushHeaders();
  if (answer.body) {
    for await (const chunk of answer.body) {
      if (!response.write(chunk)) await drained(response);
    }
  }
  response.end();
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      response.off("drain", done);
      response.off("close", done);
      resolve();
    };
    response.on("drain", done);
    response.on("close", done);
  });
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { port: { type: "string" }, pace: { type: "string" } },
  });
  const pace = Number(values.pace ?? DEFAULT_PACE_MS);
  const standin = createStandin({ friendly: true, pace, keepRequests: KEPT_REQUESTS });
  const { url } = await startStandinServer({ port: Number(values.port ?? DEFAULT_PORT), standin });
  console.log(`The stand-in listens on ${url}`);
}

const [, script] = process.argv;
if (script !== undefined && import.meta.url === pathToFileURL(script).href) await main();
