/** The key that a local server makes for itself, so that it can sign webhooks. */
import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { dataFolder, startedServer } from "./support.ts";

const FAST = { STANDIN_PACE_MS: "0" };

async function secretOf(url: string): Promise<string> {
  const response = await fetch(`${url}/api/account/webhook-secret`);
  expect(response.status).toBe(200);
  // As the route answers.
  return ((await response.json()) as { secret: string }).secret;
}

test("a server that was given no key makes one, keeps it for itself and goes on with it", async () => {
  const data = await dataFolder();
  const file = join(data, "webhook-key");
  const first = await startedServer(data, FAST);
  const secret = await secretOf(first.url);
  expect(secret).toMatch(/^whsec_/);
  const key = (await readFile(file, "utf8")).trim();
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect(first.output()).not.toContain(key);
  await first.kill();

  const second = await startedServer(data, FAST);
  expect(await secretOf(second.url)).toBe(secret);
  expect((await readFile(file, "utf8")).trim()).toBe(key);
  await second.stop();

  // The owner's own key goes first.
  const own = Buffer.alloc(32, 7).toString("base64");
  const third = await startedServer(data, { ...FAST, WEBHOOK_KEY: own });
  expect(await secretOf(third.url)).not.toBe(secret);
  await third.stop();

  await writeFile(file, "not a key");
  await expect(startedServer(data, FAST)).rejects.toThrow(/webhook-key must hold 32 bytes/);
});
