/** The programs in examples/, as a user runs them, against a server as `npm start` starts it. */
import { execFile } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { dataFolder, startedServer } from "./support.ts";

const run = promisify(execFile);

const example = (name: string, env: Record<string, string>) =>
  run(process.execPath, [`examples/${name}.mjs`], { env: { PATH: process.env.PATH, ...env } });

/** What an example printed; throws when it does not end well. */
async function outputOf(name: string, env: Record<string, string>): Promise<string> {
  const { stdout } = await example(name, env);
  expect(stdout).toContain(`${name}: all as it should be`);
  return stdout;
}

async function freePort(): Promise<string> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  return typeof address === "object" && address ? String(address.port) : "0";
}

test("every example does what it says, on a server without a key", async () => {
  const WEBHOOK_PORT = await freePort();
  const { url: BASE_URL } = await startedServer(await dataFolder(), {
    STANDIN_PACE_MS: "0",
    FETCH_ALLOW_HOSTS: `127.0.0.1:${WEBHOOK_PORT}`,
  });

  const cli = await outputOf("claude-cli-server", { BASE_URL });
  expect(cli).toContain("> Your name is Ada.");
  expect(cli).toContain("> 1 2 3 4 5 6 7 8 9 10 11 12");
  expect(cli).toContain("the deltas are that answer");

  const agents = await outputOf("two-agents", { BASE_URL, ROUNDS: "2", TOPIC: "The moon" });
  expect(agents).toContain("the sceptic remembers 4 messages");

  const jobs = await outputOf("parallel-jobs", { BASE_URL, WEBHOOK_PORT });
  expect(jobs.match(/job\.completed came for [0-9a-f]{16}$/gm)).toHaveLength(3);
  expect(jobs.match(/signed by the server/g)).toHaveLength(3);

  // The server may call no other port of this machine.
  const untold = await outputOf("parallel-jobs", { BASE_URL, WEBHOOK_PORT: await freePort() });
  expect(untold).toContain("no webhooks");
});

test("with a key it works as well; without it each one says what is wrong, and ends with 1", async () => {
  const key = "k-of-the-examples";
  const { url: BASE_URL } = await startedServer(await dataFolder(), {
    STANDIN_PACE_MS: "0",
    API_KEYS: `ada:${key}`,
  });
  const said = await outputOf("claude-code-api", { BASE_URL, API_KEY: key });
  expect(said).toContain("> Your name is Ada.");
  expect(said).not.toContain(key);

  const without = { BASE_URL, WEBHOOK_PORT: await freePort() };
  // Their first request that needs one.
  const ends = { code: 1, stderr: expect.stringMatching(/answered 401 and not 20[01]/) };
  for (const name of ["claude-cli-server", "claude-code-api", "two-agents", "parallel-jobs"]) {
    await expect(example(name, without)).rejects.toMatchObject(ends);
  }
});
