/** A server under test, with a scripted Messages API in the test's own process. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished } from "vitest";
import { Client } from "../../scripts/client.ts";
import { Reader } from "../../scripts/reader.ts";
import { type ServerProcess, spawnServer } from "../../scripts/server-process.ts";
import type { Variables } from "../../src/shared/config.ts";
import { startStandinServer } from "../../src/standin/server.ts";
import { createStandin, type Standin } from "../../src/standin/standin.ts";

/** A folder for data that goes away with the test. */
export async function dataFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "ledge-e2e-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Starts a server that is killed with the test, unless it has ended by then. */
export async function startedServer(
  data: string,
  variables: Variables,
  port = 0,
): Promise<ServerProcess> {
  const server = await spawnServer({ data, variables, port });
  onTestFinished(() => server.kill());
  return server;
}

/** A server whose model calls come to a stand-in of this process. */
export class World {
  readonly standin: Standin;
  /** The address stays the same over all its servers. */
  readonly client: Client;
  readonly #data: string;
  readonly #variables: Variables;
  #server: ServerProcess;

  private constructor(standin: Standin, data: string, variables: Variables, server: ServerProcess) {
    this.standin = standin;
    this.#data = data;
    this.#variables = variables;
    this.#server = server;
    this.client = new Client(server.url);
  }

  static async create(more: Variables = {}): Promise<World> {
    const standin = createStandin();
    const upstream = await startStandinServer({ standin });
    onTestFinished(() => upstream.close());
    onTestFinished(() => expect(standin.unexpectedRefusals()).toEqual([]));
    const data = await dataFolder();
    const variables = { ANTHROPIC_API_KEY: "sk-test", ANTHROPIC_BASE_URL: upstream.url, ...more };
    return new World(standin, data, variables, await startedServer(data, variables));
  }

  get server(): ServerProcess {
    return this.#server;
  }

  /** Starts a server again, on the same data and port; the one before must have ended. */
  async restart(): Promise<void> {
    const port = Number(new URL(this.client.url).port);
    this.#server = await startedServer(this.#data, this.#variables, port);
  }
}

/** What a client sees that comes from the start, up to the frame `event`. */
export async function freshReader(client: Client, id: string, event: string): Promise<Reader> {
  const reader = new Reader();
  await reader.visit(client.events(id, "0"), event);
  return reader;
}

/** Resolves at a time of the wall clock (milliseconds since the epoch). */
export function untilTime(at: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, Math.max(0, at - Date.now())));
}
