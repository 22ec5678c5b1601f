import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { Client } from "../../scripts/client.ts";
import { Reader } from "../../scripts/reader.ts";
import { startServer } from "../../scripts/server.ts";
import { dataFolder, untilTime } from "./support.ts";

/** An object without work hibernates after about 10 s. */
const SILENCE_MS = 15_000;

test("a session hibernates under two silent followers, who get its next event", async () => {
  const server = await startServer({
    host: "127.0.0.1",
    port: 0,
    data: await dataFolder(),
    variables: { ALLOW_ANONYMOUS: "true", STANDIN: "true" },
    configPath: fileURLToPath(new URL("../e2e-worker/wrangler.toml", import.meta.url)),
  });
  onTestFinished(() => server.stop());
  const client = new Client(server.url);
  const { id } = await client.createSession();
  await client.turn(id, { input: "Hello." });
  const instance = async () => (await fetch(`${server.url}/test/instance/${id}`)).text();
  const readers = [new Reader(), new Reader()];
  const { last_event_id } = await client.session(id);
  const followed = readers.map((reader) =>
    reader.visit(client.events(id, String(last_event_id)), "turn.completed"),
  );
  const before = await instance();
  expect(await instance()).toBe(before);

  await untilTime(Date.now() + SILENCE_MS);
  expect(await instance()).not.toBe(before);

  await client.turn(id, { input: "Are you there?" });
  for (const [i, end] of (await Promise.all(followed)).entries()) {
    expect(end?.data.data).toMatchObject({ outcome: "completed" });
    expect(readers[i]?.frames[0]?.event).toBe("turn.started");
  }
});
