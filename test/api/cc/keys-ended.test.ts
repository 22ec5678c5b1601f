/** What is open when its key is revoked or expires: it ends, and the session goes on. */
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, expect, test } from "vitest";
import { accountOf } from "../../../src/account/client.ts";
import { accountId } from "../../../src/http/auth.ts";
import { createGate, type Gate } from "../../../src/standin/gate.ts";
import { compaction, holdAt, reply, text } from "../../../src/standin/replies.ts";
import { HostileClient, untilAttached, writeRows } from "../../hostile/clients.ts";
import { FAR_FUTURE, FakeClock } from "../../support/fake-clock.ts";
import { noise, put } from "./files-support.ts";
import { accountNamed, type MadeKey, newAccount, newKey } from "./keys-support.ts";
import {
  framesUntil,
  get,
  type Headers,
  imageBlock,
  inside,
  newSession,
  pngBytes,
  post,
  send,
  serverWith,
  standin,
  withStandin,
} from "./server.ts";

withStandin();

const CHECK_MS = 15_000;

let clock = new FakeClock();
clock.restore();
beforeEach(() => {
  clock = new FakeClock(FAR_FUTURE);
});
afterEach(() => clock.restore());

/** As another Worker does it, of which this one learns nothing. */
const revokeElsewhere = async ({ ulid }: MadeKey) =>
  (await accountNamed("default")).revokeKey(ulid);

/** Lets so many heartbeats pass. */
async function beats(count: number): Promise<void> {
  for (let n = 0; n < count; n++) {
    clock.advance(CHECK_MS);
    // What a heartbeat began has gone on by the time that another request has been answered.
    await get("/api/models");
  }
}

/** A reply that stays in the middle until the gate opens. */
function held(): Gate {
  const gate = createGate();
  standin.script(
    reply({ blocks: [text("Hello there.")], acts: [holdAt({ block: 0, delta: 1 }, gate)] }),
  );
  return gate;
}

/** A server whose timers are this test's own. */
const here = serverWith({});

async function running(session: string): Promise<void> {
  const client = await HostileClient.open(`${session}/events/stream`);
  await client.readUntil(() => client.has("assistant.delta"));
  client.leave();
}

/** The turn goes on without whoever has started it. */
async function completes(session: string, gate: Gate): Promise<void> {
  const stream = await get(`${session}/events/stream`);
  await inside(session, () => gate.open());
  const frames = await framesUntil(stream, "turn.completed");
  expect(frames.at(-1)?.data).toMatchObject({ data: { output_text: "Hello there." } });
}

/** What happens now reaches the client. */
async function goesOn(session: string, client: HostileClient): Promise<void> {
  await send("PATCH", session, { title: "On" });
  await client.readUntil(() => client.has("session.updated"));
  expect(client.frames.at(-1)).toMatchObject({ event: "session.updated" });
}

test("the stream of a session ends within a minute with key_revoked, and others go on", async () => {
  const [key, other] = [await newKey(), await newKey()];
  const session = await newSession();
  const open = ({ headers }: MadeKey) =>
    HostileClient.open(`${session}/events/stream`, { headers });
  const [mine, others] = [await open(key), await open(other)];
  await mine.readToRow(1);
  await revokeElsewhere(key);
  await beats(2);
  await mine.readToEnd();
  expect(mine.frames.at(-1)).toMatchObject({
    id: "1",
    event: "error",
    data: { code: "key_revoked", retryable: false, cursor: "1", message: "This key was revoked." },
  });
  expect((await get(session, key.headers)).status).toBe(401);
  await goesOn(session, others);
  others.leave();
});

test("the stream of a turn ends, and the turn goes on", async () => {
  const key = await newKey();
  const session = await newSession();
  const gate = held();
  const body = { input: "Hi", stream: true };
  const client = await HostileClient.open(`${session}/turns`, {
    method: "POST",
    headers: key.headers,
    body,
  });
  await client.readUntil(() => client.has("assistant.delta"));
  await revokeElsewhere(key);
  await beats(2);
  await client.readToEnd();
  expect(client.frames.at(-1)).toMatchObject({ event: "error", data: { code: "key_revoked" } });
  await completes(session, gate);
});

test("an answer that waits for its turn is 401, and the turn goes on", async () => {
  const key = await newKey();
  const session = await newSession();
  const gate = held();
  const waiting = here("POST", `${session}/turns`, { input: "Hi" }, key.headers);
  await running(session);
  await revokeElsewhere(key);
  await beats(2);
  const answer = await waiting;
  expect(await answer.json()).toMatchObject({
    status: 401,
    turn: "turn_2",
    error: { code: "key_revoked", message: "This key was revoked." },
  });
  await completes(session, gate);
});

test("an answer that waits for a compaction is 401", async () => {
  const key = await newKey();
  const session = await newSession({ tools: [] });
  standin.script(text("Hello."));
  await post(`${session}/turns`, { input: "Hi" });
  const gate = createGate();
  standin.script(
    reply({ blocks: [compaction("They met.")], acts: [holdAt({ block: 0, delta: 0 }, gate)] }),
  );
  const waiting = here("POST", `${session}/compact`, {}, key.headers);
  await untilAttached(session, 1);
  await revokeElsewhere(key);
  await beats(2);
  expect((await waiting).status).toBe(401);
  const stream = await get(`${session}/events/stream`);
  await inside(session, () => gate.open());
  await framesUntil(stream, "session.compacted");
});

test("an export is cut off, and says so", async () => {
  const key = await newKey();
  const session = await newSession();
  standin.script(text("Seen."));
  await post(`${session}/turns`, { input: [imageBlock(pngBytes(10_000))] });
  await writeRows(session, 12);
  const path = `${session}/export?media=include`;
  const client = await HostileClient.open(path, { headers: key.headers });
  await client.read();
  await revokeElsewhere(key);
  await beats(2);
  // The transfer breaks off behind the last line.
  await client.readToEnd().catch(() => {});
  const last = client.raw.trim().split("\n").at(-1) ?? "";
  expect(JSON.parse(last)).toMatchObject({ type: "error", code: "key_revoked", retryable: false });
});

test.each(["files/big", "files.zip"])("a download is broken off: %s", async (path) => {
  const key = await newKey();
  const session = await newSession();
  await put(session, "big", noise(6_000_000));
  const client = await HostileClient.open(`${session}/${path}`, { headers: key.headers });
  await client.read();
  await revokeElsewhere(key);
  await beats(2);
  await expect(client.readToEnd()).rejects.toThrow();
  expect(client.bytes).toBeLessThan(3_000_000);
});

test("a key that expires ends its streams with key_expired", async () => {
  const key = await newKey({ expires_in_seconds: 20 });
  const session = await newSession();
  const client = await HostileClient.open(`${session}/events/stream`, { headers: key.headers });
  await beats(1);
  await goesOn(session, client);
  await beats(1);
  await client.readToEnd();
  expect(client.frames.at(-1)).toMatchObject({ event: "error", data: { code: "key_expired" } });
});

test("a stream whose account cannot be reached goes on until somebody can say", async () => {
  const key = await newKey();
  const session = await newSession();
  let broken = false;
  let refused = 0;
  const managedKey = () => {
    refused += 1;
    return Promise.reject(new Error("unreachable"));
  };
  const getByName = (name: string) => ({
    ...accountOf(env, name),
    ...(broken ? { managedKey } : {}),
  });
  const bindings = { ACCOUNT: { getByName } };
  const client = await HostileClient.open(`${session}/events/stream`, {
    headers: key.headers,
    bindings,
  });
  broken = true;
  await revokeElsewhere(key);
  await beats(2);
  // It is asked five times, with pauses of less than a second.
  for (let n = 1; n < 5; n++) {
    clock.advance(1_000);
    await get("/api/models");
  }
  expect(refused).toBe(5);
  await goesOn(session, client);
  broken = false;
  await beats(3);
  await client.readToEnd();
  expect(client.frames.at(-1)).toMatchObject({ data: { code: "key_revoked" } });
});

test("a stream that is left looks after its key no longer", async () => {
  const key = await newKey();
  const session = await newSession();
  const before = clock.armed;
  const client = await HostileClient.open(`${session}/events/stream`, { headers: key.headers });
  await client.readToRow(1);
  expect(clock.armed).toBeGreaterThan(before);
  client.leave();
  await untilAttached(session, 0);
  expect(clock.armed).toBe(before);
});

test("a stream of what was there before ends at its reader's next step, however slow that is", async () => {
  const key = await newKey();
  const session = await newSession();
  await writeRows(session, 70);
  const headers = { ...key.headers, "last-event-id": "0" };
  const client = await HostileClient.open(`${session}/events/stream`, { headers });
  await client.readToRow(2);
  await revokeElsewhere(key);
  await beats(2);
  await client.readToEnd();
  expect(client.frames.at(-1)).toMatchObject({ event: "error", data: { code: "key_revoked" } });
  expect(client.frames.length).toBeLessThan(35);
});

async function ticketOf(session: string, headers: Headers, server = send): Promise<string> {
  const response = await server("POST", `${session}/stream-ticket`, undefined, headers);
  return (await response.json<{ url: string }>()).url;
}

test("a ticket dies with the managed key that made it, and so do its streams", async () => {
  const key = await newKey({ scopes: ["read"] });
  const session = await newSession();
  const url = await ticketOf(session, key.headers);
  expect(url).toContain(key.ulid);
  expect(url).not.toContain(key.text.slice(-40));
  const client = await HostileClient.open(url);
  await client.readToRow(1);
  await revokeElsewhere(key);
  await beats(2);
  await client.readToEnd();
  expect(client.frames.at(-1)).toMatchObject({ event: "error", data: { code: "key_revoked" } });
  const again = await get(url);
  expect([again.status, (await again.json<{ error: { code: string } }>()).error.code]).toEqual([
    401,
    "key_revoked",
  ]);
});

test("a key that may not read any more has no tickets that read", async () => {
  const key = await newKey();
  const session = await newSession();
  const url = await ticketOf(session, key.headers);
  expect((await send("PATCH", `/api/keys/${key.id}`, { scopes: ["run", "admin"] })).status).toBe(
    200,
  );
  expect((await get(url)).status).toBe(403);
});

test("a ticket dies with the removal of its key from the configuration, and with no other", async () => {
  const name = newAccount();
  const with_ = (keys: string) => serverWith({ API_KEYS: keys });
  const both = with_(`${name}:a1,${name}:a2`);
  const created = await both("POST", "/api/sessions", {}, { "x-api-key": "a1" });
  const session = created.headers.get("location") ?? "";
  const url = await ticketOf(session, { "x-api-key": "a1" }, both);
  const statuses = [];
  for (const server of [
    with_(`${name}:a2,${name}:a1`),
    with_(`${name}:a1`),
    with_(`${name}:a2`),
    with_("a1"),
    serverWith({}),
  ]) {
    const response = await server("GET", url);
    await response.body?.cancel();
    statuses.push(response.status);
  }
  expect(statuses).toEqual([200, 200, 401, 401, 401]);
});

test("a ticket that was made without a key ends when there are keys", async () => {
  const session = await newSession();
  const url = await ticketOf(session, {});
  const open = await get(url);
  await open.body?.cancel();
  expect(open.status).toBe(200);
  expect((await serverWith({ CC_API_KEY: "k" })("GET", url)).status).toBe(401);
  expect((await serverWith({ ALLOW_ANONYMOUS: "false" })("GET", url)).status).toBe(401);
  expect(await accountId("default")).toBe(url.match(/acct_[0-9a-f]+/)?.[0]);
});
