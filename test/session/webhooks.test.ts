/** Webhooks: told of each end of a job at least once, signed, and tried again for about an hour. */
import { runDurableObjectAlarm } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { Webhook } from "standardwebhooks";
import { afterEach, beforeEach, expect, test } from "vitest";
import { accountOf } from "../../src/account/client.ts";
import { type FaultPoint, onFaultPoint } from "../../src/session/fault-points.ts";
import { jobId } from "../../src/shared/ids.ts";
import type { WebhookBody } from "../../src/shared/job-object.ts";
import { webhookSecret } from "../../src/shared/webhook-signature.ts";
import { createGate } from "../../src/standin/gate.ts";
import { httpError, text } from "../../src/standin/replies.ts";
import { newAccountName } from "../support/accounts.ts";
import { useFakeClock } from "../support/fake-clock.ts";
import { home } from "../support/home.ts";
import { HOOK, type Received, signedWith, useReceiver } from "../support/receiver.ts";
import {
  held,
  reached,
  refusalOf,
  runAlarm,
  type TestSession,
  useSessions,
} from "../support/sessions.ts";

const sessions = useSessions();
const clock = useFakeClock();
const receiver = useReceiver();

/** What `openssl rand -base64 32` might have made. */
const KEYS = {
  current: "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
  old: "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=",
};

beforeEach(() => {
  Object.assign(env, { ENCRYPTION_KEY: KEYS.current, ENCRYPTION_KEYS_OLD: KEYS.old });
});
afterEach(() => {
  onFaultPoint(null);
  for (const name of ["ENCRYPTION_KEY", "ENCRYPTION_KEYS_OLD"]) Reflect.deleteProperty(env, name);
});

/** The session has other variables, until its object dies. */
const reconfigure = (session: TestSession, variables: Record<string, string>): Promise<void> =>
  session.inside((_, object) => {
    Object.assign(object, { env: { ...env, ...variables } });
  });

const secretOf = (key: string, account = "acct_test"): Promise<string> =>
  webhookSecret({ current: Uint8Array.fromBase64(key), old: [] }, account);

/** What the platform takes for JSON. */
const bodyOf = ({ body }: Received) => body as unknown as WebhookBody;

const attempted = (session: TestSession, attempt: number, job?: number) =>
  session.reader.row(
    "webhook.attempted",
    ({ body }) => body.attempt === attempt && (job === undefined || body.input === job),
  );

/** The last attempt on disk, which the alarm has waited for. */
async function lastAttempt(session: TestSession) {
  const row = (await session.rows()).findLast(({ type }) => type === "webhook.attempted");
  if (row?.type !== "webhook.attempted") throw new Error("there was no attempt");
  return row;
}

/** Lets the time of the next attempt come. */
async function advanceTo(session: TestSession, at: number): Promise<void> {
  clock.advance(at - clock.now);
  await runAlarm(session);
}

const redeliver = (session: TestSession, input: number) =>
  session.submit({ kind: "redeliver", input });

test("the end of a job is told, signed with each key, and is delivered with a 2xx", async () => {
  const session = await sessions.create();
  sessions.script(text("Done."));
  receiver.script(204);
  const job = await session.job("Work", {}, `${HOOK}?token=t`);
  await attempted(session, 1);
  const [message] = receiver.received;
  if (!message) throw new Error("nothing has arrived");
  expect(message.url).toBe(`${HOOK}?token=t`);
  const secrets = await Promise.all([secretOf(KEYS.old), secretOf(KEYS.current)]);
  expect(signedWith(message, secrets)).toEqual([secrets[1], secrets[0]]);
  expect(signedWith(message, [await secretOf(KEYS.current, "acct_other")])).toEqual([
    undefined,
    undefined,
  ]);
  const { delivery } = await session.jobNow(job);
  expect(message.headers.get("webhook-id")).toBe(delivery?.id);
  expect(message.headers.get("content-type")).toBe("application/json");
  expect(Number(message.headers.get("webhook-timestamp"))).toBe(Math.floor(clock.now / 1000));
  const body = bodyOf(message);
  expect(Object.keys(body)).toEqual(["event", "job", "type", "timestamp", "data"]);
  expect(body).toMatchObject({ event: "job.completed", type: "job.completed" });
  expect(body.data).toEqual(body.job);
  expect(body.timestamp).toBe(body.job.completed_at);
  expect(body.job).toMatchObject({
    id: jobId(session.id, 2),
    status: "done",
    message: "Work",
    webhook_url: `${HOOK}?token=t`,
    result: { content: "Done.", session_id: `sess_${session.id}` },
    session_rowid: `sess_${session.id}`,
  });
  expect(delivery).toMatchObject({
    state: "delivered",
    attempts: 1,
    last_status: 204,
    last_error: null,
    next_at: null,
    delivered_at: clock.now,
  });
});

test("a receiver's own library takes the message", async () => {
  clock.restore();
  const session = await sessions.create();
  sessions.script(text("Done."));
  await session.job("Work", {}, HOOK);
  await attempted(session, 1);
  const [message] = receiver.received;
  if (!message) throw new Error("nothing has arrived");
  const hook = new Webhook(await secretOf(KEYS.current));
  const headers = Object.fromEntries(message.headers);
  expect(hook.verify(message.text, headers)).toEqual(message.body);
  expect(() => hook.verify(`${message.text} `, headers)).toThrow();
});

test("without a key of the server a webhook is told unsigned", async () => {
  const session = await sessions.create();
  await reconfigure(session, { ENCRYPTION_KEY: "", ENCRYPTION_KEYS_OLD: "" });
  sessions.script(text("Done."));
  await session.job("Work", {}, HOOK);
  await attempted(session, 1);
  const headers = receiver.received[0]?.headers;
  expect(headers?.get("webhook-id")).toMatch(/^msg_/);
  expect(headers?.has("webhook-signature")).toBe(false);
});

test("while a variable is wrong nothing is sent, for nobody knows with which keys to sign", async () => {
  const session = await sessions.create();
  const answer = held({ block: 0, delta: 1 }, [text("Done.", { deltas: ["Do", "ne."] })]);
  sessions.script(answer.reply);
  await session.job("Work", {}, HOOK);
  await reached(answer.gate);
  await reconfigure(session, { MAX_BODY_MB: "many" });
  await session.open(answer.gate);
  const { body } = await attempted(session, 1);
  expect(body).toMatchObject({ status: null, error: "The server is not configured" });
  expect(receiver.received).toEqual([]);
  await reconfigure(session, {});
  await advanceTo(session, body.retry_at ?? 0);
  await attempted(session, 2);
  expect(receiver.received[0]?.headers.has("webhook-signature")).toBe(true);
});

test("failed and cancelled jobs are told under the same event and a type of their own", async () => {
  const session = await sessions.create();
  const first = held({ block: 0, delta: 1 }, [text("One two", { deltas: ["One", " two"] })]);
  sessions.script(httpError(401), first.reply);
  await session.job("Fail", {}, `${HOOK}/failed`);
  const running = await session.job("Count", {}, `${HOOK}/running`);
  const waiting = await session.job("Wait", {}, `${HOOK}/waiting`);
  await reached(first.gate);
  await session.submit({ kind: "cancel_job", input: waiting });
  await session.submit({ kind: "cancel_job", input: running });
  await session.reader.until(
    () => session.reader.rows.filter(({ type }) => type === "webhook.attempted").length === 3,
  );
  const told = receiver.received.map(({ url, body }) => {
    const { event, type, job } = body as unknown as WebhookBody;
    return [url.slice(HOOK.length + 1), event, type, job.status, job.error === null];
  });
  expect(told.toSorted()).toEqual([
    ["failed", "job.completed", "job.failed", "failed", false],
    ["running", "job.completed", "job.cancelled", "cancelled", true],
    ["waiting", "job.completed", "job.cancelled", "cancelled", true],
  ]);
});

test("a webhook that does not answer well is told again, later each time, six times in all", async () => {
  const session = await sessions.create();
  sessions.script(text("Done."));
  const moved = new Response(null, { status: 302, headers: { location: `${HOOK}/moved` } });
  receiver.script(500, moved, "breaks", 404, 429, 503);
  const job = await session.job("Work", {}, HOOK);
  const waits: number[] = [];
  await attempted(session, 1);
  // A client would not wait for so long.
  await session.reader.detach();
  for (let attempt = 1; attempt <= 5; attempt++) {
    const { at, body } = await lastAttempt(session);
    const retry_at = body.retry_at ?? 0;
    waits.push(retry_at - at);
    expect((await session.jobNow(job)).delivery).toMatchObject({
      state: "pending",
      attempts: attempt,
      next_at: retry_at,
    });
    // Nothing is sent before its time.
    clock.advance(retry_at - clock.now - 1);
    await runAlarm(session);
    expect(receiver.received.length).toBe(attempt);
    await advanceTo(session, retry_at);
  }
  const last = await lastAttempt(session);
  expect(last.body.retry_at).toBeUndefined();
  const between = [5, 30, 120, 600, 3_600].map((seconds) => [seconds * 750, seconds * 1_250]);
  for (const [i, wait] of waits.entries()) {
    expect(wait).toBeGreaterThanOrEqual(between[i]?.[0] ?? 0);
    expect(wait).toBeLessThanOrEqual(between[i]?.[1] ?? 0);
  }
  expect(new Set(receiver.received.map(({ headers }) => headers.get("webhook-id"))).size).toBe(1);
  expect(new Set(receiver.received.map(({ text }) => text)).size).toBe(1);
  const times = receiver.received.map(({ headers }) => Number(headers.get("webhook-timestamp")));
  expect(new Set(times).size).toBe(6);
  expect((await session.jobNow(job)).delivery).toMatchObject({
    state: "failed",
    attempts: 6,
    last_status: 503,
    last_error: "The URL answered with status 503",
    next_at: null,
    delivered_at: null,
  });
  const errors = (await session.rows()).flatMap((row) =>
    row.type === "webhook.attempted" ? [[row.body.status, row.body.error]] : [],
  );
  expect(errors.map(([status]) => status)).toEqual([500, 302, null, 404, 429, 503]);
  expect(errors[2]).toEqual([null, "The URL could not be fetched"]);
});

test("a receiver that is gone is not told again", async () => {
  const session = await sessions.create();
  sessions.script(text("Done."));
  receiver.script(410);
  const job = await session.job("Work", {}, HOOK);
  await attempted(session, 1);
  const { delivery } = await session.jobNow(job);
  expect(delivery).toMatchObject({ state: "failed", attempts: 1, last_status: 410 });
});

test("an answer is waited for ten seconds, and its body is not", async () => {
  const session = await sessions.create();
  sessions.script(text("One."), text("Two."));
  let cancelled = false;
  const endless = new ReadableStream<Uint8Array>(
    {
      pull: (controller) => controller.enqueue(new Uint8Array(1_000)),
      cancel: () => {
        cancelled = true;
      },
    },
    { highWaterMark: 0 },
  );
  receiver.script("hangs", new Response(endless));
  const armed = clock.nextTimer(10_000);
  const one = await session.job("One", {}, HOOK);
  await armed;
  await receiver.arrived(1);
  await session.inside(() => clock.advance(10_000));
  const slow = await attempted(session, 1, one);
  expect(slow.body).toMatchObject({
    status: null,
    error: "The URL did not answer within 10 seconds",
  });
  const two = await session.job("Two", {}, HOOK);
  expect((await attempted(session, 1, two)).body.error).toBeNull();
  expect(cancelled).toBe(true);
});

test("a webhook that hangs holds up neither turns nor other webhooks", async () => {
  const session = await sessions.create();
  sessions.script(text("One."), text("Two."), text("Three."));
  const gate = createGate();
  receiver.script(gate);
  const one = await session.job("One", {}, `${HOOK}/1`);
  await receiver.arrived(1);
  expect(await session.turn("Two")).toMatchObject({ outcome: "completed" });
  const three = await session.job("Three", {}, `${HOOK}/3`);
  await attempted(session, 1, three);
  expect((await session.jobNow(one)).delivery).toMatchObject({ state: "pending", attempts: 0 });
  await session.open(gate);
  await attempted(session, 1, one);
});

test("at most two webhooks are told at once", async () => {
  const session = await sessions.create();
  sessions.script(text("1"), text("2"), text("3"), text("4"));
  const gates = [createGate(), createGate()];
  receiver.script(...gates);
  const jobs: number[] = [];
  for (const n of [1, 2, 3, 4]) jobs.push(await session.job(String(n), {}, `${HOOK}/${n}`));
  await receiver.arrived(2);
  await session.reader.row("outcome", ({ body }) => body.inputs.includes(jobs[3] ?? 0));
  expect(receiver.received.length).toBe(2);
  for (const gate of gates) await session.open(gate);
  for (const job of jobs) await attempted(session, 1, job);
  expect(receiver.received.map(({ url }) => url.at(-1)).toSorted()).toEqual(["1", "2", "3", "4"]);
});

test("a retry comes at its time also while a turn runs under the alarm", async () => {
  const session = await sessions.create();
  const words = () => held({ block: 0, delta: 1 }, [text("One two", { deltas: ["One", " two"] })]);
  const [first, second] = [words(), words()];
  sessions.script(first.reply, second.reply);
  receiver.script(500);
  const job = await session.job("Wait", {}, HOOK);
  await reached(first.gate);
  // The alarm that guards the turn comes, and the turn holds it.
  clock.advance(15_000);
  const alarm = runDurableObjectAlarm(session.object);
  const message = await session.send("And a long one");
  await session.open(first.gate);
  const { body } = await attempted(session, 1, job);
  await reached(second.gate);
  const retry_at = body.retry_at ?? 0;
  const set = await session.inside((state) => state.storage.getAlarm());
  expect(set).toBe(retry_at);
  clock.advance(retry_at - clock.now);
  // The turn holds this one as well.
  const next = runDurableObjectAlarm(session.object);
  expect((await attempted(session, 2, job)).body.error).toBeNull();
  await session.open(second.gate);
  await session.outcome(message);
  await Promise.all([alarm, next]);
});

test("a retry that comes due while the alarm is held is made then", async () => {
  const session = await sessions.create();
  const long = held({ block: 0, delta: 1 }, [text("One two", { deltas: ["One", " two"] })]);
  sessions.script(text("Done."), long.reply);
  receiver.script(500);
  const job = await session.job("Work", {}, HOOK);
  const { body } = await attempted(session, 1, job);
  const message = await session.send("A long one");
  await reached(long.gate);
  // The guard of the turn comes before the retry, and is held for no longer than until that.
  const alarm = runDurableObjectAlarm(session.object);
  await home();
  await session.inside(() => clock.advance((body.retry_at ?? 0) - clock.now));
  await attempted(session, 2, job);
  await session.open(long.gate);
  await session.outcome(message);
  await alarm;
});

test("a redelivery has an id of its own and takes the place of one that is pending", async () => {
  const session = await sessions.create();
  sessions.script(text("Done."));
  receiver.script(500, 200, 200);
  const job = await session.job("Work", {}, HOOK);
  const first = await attempted(session, 1);
  expect((await redeliver(session, job)).ok).toBe(true);
  const requested = await session.reader.row("webhook.requested");
  const second = await session.reader.row(
    "webhook.attempted",
    ({ body }) => body.delivery === requested.seq,
  );
  expect(second.body).toMatchObject({ attempt: 1, error: null });
  const { delivery } = await session.jobNow(job);
  expect(delivery).toMatchObject({ state: "delivered", attempts: 1 });
  // The time of the first one's retry comes, and nothing is sent.
  await advanceTo(session, first.body.retry_at ?? 0);
  expect(receiver.received.length).toBe(2);
  await redeliver(session, job);
  await receiver.arrived(3);
  const ids = receiver.received.map(({ headers }) => headers.get("webhook-id"));
  expect(new Set(ids).size).toBe(3);
  expect(new Set(receiver.received.map(({ text }) => text)).size).toBe(1);
  expect(ids[1]).toBe(delivery?.id);
  await session.reader.row("webhook.attempted", ({ body }) => body.delivery > requested.seq);
});

test("a redelivery is in the audit, with the key that asked for it", async () => {
  const account = newAccountName();
  const session = await sessions.create({ account });
  sessions.script(text("Done."));
  const job = await session.job("Work", {}, HOOK);
  await attempted(session, 1);
  await session.submit({ kind: "redeliver", input: job }, { caller: "key_01" });
  const requested = await session.reader.row("webhook.requested");
  await session.reader.row("webhook.attempted", ({ body }) => body.delivery === requested.seq);
  await runAlarm(session);
  const asked = { order: "newest" as const, limit: 10, cursor: null };
  const { entries } = await accountOf(env, account).auditPage(asked);
  expect(entries[0]).toMatchObject({
    action: "webhook.redeliver",
    target: `input_${job}`,
    key: "key_01",
  });
});

test("an attempt that a redelivery has overtaken leaves no row", async () => {
  const session = await sessions.create();
  sessions.script(text("Done."));
  const gate = createGate();
  receiver.script(gate, 204);
  const job = await session.job("Work", {}, HOOK);
  await receiver.arrived(1);
  await redeliver(session, job);
  await attempted(session, 1);
  await session.open(gate);
  await home();
  expect((await session.jobNow(job)).delivery).toMatchObject({ last_status: 204, attempts: 1 });
  expect(session.reader.rows.filter(({ type }) => type === "webhook.attempted").length).toBe(1);
});

test("only the end of a job with a webhook can be told again", async () => {
  const session = await sessions.create();
  const first = held({ block: 0, delta: 1 }, [text("One.", { deltas: ["On", "e."] })]);
  sessions.script(first.reply, text("Two."), text("Three."));
  const one = await session.job("One", {}, HOOK);
  const two = await session.job("Two");
  const message = await session.send("Three");
  await reached(first.gate);
  expect(refusalOf(await redeliver(session, one))).toBe("job_open");
  await session.open(first.gate);
  await session.outcome(message);
  expect(refusalOf(await redeliver(session, two))).toBe("no_webhook");
  expect(refusalOf(await redeliver(session, message.input ?? 0))).toBe("unknown_job");
  expect(refusalOf(await redeliver(session, 999))).toBe("unknown_job");
  await attempted(session, 1, one);
});

/** Ends the object the first time that it comes to a point, and resolves then. */
function crashAt(session: TestSession, point: FaultPoint): () => Promise<void> {
  const name = `${session.account}/${session.id}`;
  let died = false;
  onFaultPoint((object, at) => {
    if (died || at !== point || object.id.name !== name) return;
    died = true;
    object.abort("crash");
  });
  return async () => {
    // What the dead object resolves nobody hears of.
    while (!died) await home();
  };
}

test("an object that dies before it has written what was answered makes the attempt again", async () => {
  const session = await sessions.create();
  sessions.script(text("Done."));
  await session.reader.detach();
  const crashed = crashAt(session, "webhook_answered");
  const job = await session.job("Work", {}, HOOK);
  await crashed();
  // The first call finds the object that died.
  await session.stub.describe().catch(() => {});
  session.reader.attach();
  await attempted(session, 1);
  expect(receiver.received.length).toBe(2);
  expect(new Set(receiver.received.map(({ headers }) => headers.get("webhook-id"))).size).toBe(1);
  expect((await session.jobNow(job)).delivery).toMatchObject({ state: "delivered", attempts: 1 });
});

test("a retry that is due wakes an object that nobody calls, and one that died comes back for it", async () => {
  const session = await sessions.create();
  sessions.script(text("Done."));
  receiver.script(500, 500);
  await session.job("Work", {}, HOOK);
  const first = await attempted(session, 1);
  await session.inside((state) => state.storage.sync());
  await session.crash();
  await advanceTo(session, first.body.retry_at ?? 0);
  const second = await attempted(session, 2);
  await session.inside((state) => state.storage.sync());
  await session.crash();
  clock.advance((second.body.retry_at ?? 0) - clock.now);
  // Not the alarm wakes it, but somebody who reads it.
  await session.stub.describe();
  expect((await attempted(session, 3)).body.error).toBeNull();
  const ids = receiver.received.map(({ headers }) => headers.get("webhook-id"));
  expect([ids.length, new Set(ids).size]).toEqual([3, 1]);
});

test("a session does not end while a webhook is still to be told", async () => {
  const { random } = Math;
  // The longest of all waits is longer than the shortest time after which sessions end.
  Math.random = () => 0.99;
  try {
    const session = await sessions.create();
    await reconfigure(session, { SESSION_TIMEOUT_HOURS: "1" });
    sessions.script(text("Done."));
    receiver.script(500, 500, 500, 500, 500);
    await session.job("Work", {}, HOOK);
    await attempted(session, 1);
    await session.reader.detach();
    for (let attempt = 1; attempt <= 5; attempt++) {
      await advanceTo(session, (await lastAttempt(session)).body.retry_at ?? 0);
    }
    expect((await lastAttempt(session)).body).toMatchObject({ attempt: 6, error: null });
    clock.advance(60 * 60_000);
    await runAlarm(session);
    expect(await session.stub.describe()).toBeNull();
  } finally {
    Math.random = random;
  }
});

test("a deleted session tells nobody any more", async () => {
  const session = await sessions.create();
  const long = held({ block: 0, delta: 1 }, [text("One two", { deltas: ["One", " two"] })]);
  sessions.script(text("Done."), long.reply);
  receiver.script(500);
  await session.job("One", {}, HOOK);
  await attempted(session, 1);
  await session.job("Two", {}, HOOK);
  await session.job("Three", {}, HOOK);
  await reached(long.gate);
  expect(await session.stub.remove("delete")).toBe(true);
  clock.advance(24 * 60 * 60_000);
  await runDurableObjectAlarm(session.object).catch(() => {});
  expect(receiver.received.length).toBe(1);
  expect(await session.stub.jobs(0, 10)).toBeNull();
});

test.each([
  ["http", "http://hooks.example.com/", "The URL must begin with https://"],
  ["a private address", "https://10.0.0.1/", "The URL's host must be a public one"],
  ["a public address", "https://93.184.216.34/", "The URL's host must be a name"],
  ["another port", "https://hooks.example.com:80/", "The URL's port must be 443"],
  ["credentials", "https://me:secret@hooks.example.com/", "must not contain a user name"],
])("an address that is not allowed is not asked: %s", async (_, url, error) => {
  const session = await sessions.create();
  sessions.script(text("Done."));
  await session.job("Work", {}, `${url}?token=hidden`);
  const { body } = await attempted(session, 1);
  expect(body.error).toContain(error);
  expect(body.error).not.toContain("hidden");
  expect(receiver.received).toEqual([]);
});

test("a host on the list is asked whatever its address is", async () => {
  const session = await sessions.create();
  await reconfigure(session, { FETCH_ALLOW_HOSTS: "127.0.0.1:9999" });
  sessions.script(text("Done."));
  await session.job("Work", {}, "http://127.0.0.1:9999/hook");
  await attempted(session, 1);
  expect(receiver.received.map(({ url }) => url)).toEqual(["http://127.0.0.1:9999/hook"]);
});

test("the address of a webhook is in no line of the operator's log", async () => {
  const lines: string[] = [];
  const { log, warn, error } = console;
  const note = (line: string) => void lines.push(line);
  Object.assign(console, { log: note, warn: note, error: note });
  try {
    const session = await sessions.create();
    sessions.script(text("Done."), text("Done."));
    receiver.script(500, "breaks");
    for (const n of [1, 2]) {
      const job = await session.job("Work", {}, `${HOOK}?token=hidden-${n}`);
      await attempted(session, 1, job);
    }
  } finally {
    Object.assign(console, { log, warn, error });
  }
  const told = lines.filter((line) => line.includes('"event":"webhook"'));
  expect(told.length).toBe(2);
  expect(JSON.parse(told[0] ?? "")).toMatchObject({ attempt: 1, status: 500 });
  expect(lines.join("\n")).not.toContain("hooks.example.com");
  expect(lines.join("\n")).not.toContain("hidden");
});
