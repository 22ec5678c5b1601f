/**
 * Three jobs of claude-code-api in three sessions at once, whose ends are told to a webhook on this
 * machine. The server calls an address of this machine only when it is told that it may:
 *
 *   FETCH_ALLOW_HOSTS=127.0.0.1:8123 npm start    # in another terminal
 *   node examples/parallel-jobs.mjs
 *
 * Without that, and with a server that is elsewhere, the jobs run without a webhook. `WEBHOOK_URL` is an
 * address at which the server reaches this program, `WEBHOOK_PORT` the port on which it listens (8123).
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";
import { ask, BASE_URL, check, run, send, shown, title } from "./client.mjs";

const SESSIONS = "/api/v1/sessions";
const PORT = Number(process.env.WEBHOOK_PORT || 8123);
const WEBHOOK_URL = process.env.WEBHOOK_URL || `http://127.0.0.1:${PORT}/jobs`;
const POLL_MS = 500;
/** The jobs, and then their webhooks, may take so long. */
const LIMIT_MS = 120_000;

const TASKS = [
  "Write a haiku about rivers into river.txt, then show it.",
  "Count to 30.",
  "Write sum.sh that prints 42, then run it.",
];

/** What came, by the id of its job. */
const received = new Map();

function listen() {
  const server = createServer((request, response) => {
    const chunks = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", () => {
      const body = Buffer.concat(chunks);
      const told = JSON.parse(body.toString());
      received.set(told.job.id, { told, body, headers: request.headers });
      response.writeHead(204).end();
    });
  });
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(PORT, "127.0.0.1", () => resolve(server));
  });
}

/** The secret with which the server signs; null where it does not. */
async function signingSecret() {
  const response = await send("GET", "/api/account/webhook-secret");
  return response.ok ? (await response.json()).secret : null;
}

/** Standard Webhooks: the id, the time and the body, under the secret. */
function isSigned(secret, { headers, body }) {
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  const before = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.`;
  const expected = createHmac("sha256", key).update(before).update(body).digest();
  return String(headers["webhook-signature"])
    .split(" ")
    .map((one) => Buffer.from(one.replace(/^v1,/, ""), "base64"))
    .some((one) => one.length === expected.length && timingSafeEqual(one, expected));
}

async function start(name, message) {
  await ask("POST", SESSIONS, { name }, { status: 201 });
  const jobs = `${SESSIONS}/${name}/jobs`;
  const response = await send("POST", jobs, { message, webhook_url: WEBHOOK_URL });
  if (response.status === 422) {
    // The server may not call this machine.
    const { data } = await ask("POST", jobs, { message }, { status: 202 });
    return { path: `${jobs}/${data.id}`, job: data, webhook: false };
  }
  if (response.status !== 202) throw new Error(`${response.status}: ${await response.text()}`);
  const { data } = await response.json();
  return { path: `${jobs}/${data.id}`, job: data, webhook: true };
}

/** Looks again until `isSo` holds. */
async function until(isSo, what) {
  const end = Date.now() + LIMIT_MS;
  for (;;) {
    const found = await isSo();
    if (found) return found;
    if (Date.now() > end) throw new Error(`${what} takes too long`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

async function ended({ path }) {
  const { data } = await ask("GET", path);
  return ["done", "failed", "cancelled"].includes(data.status) ? data : null;
}

async function jobs() {
  title(`Three jobs at ${BASE_URL}`);
  const names = TASKS.map((_, i) => `job-${i + 1}-${Date.now()}`);
  const started = await Promise.all(TASKS.map((task, i) => start(names[i], task)));
  check(
    started.every(({ job }) => job.status === "queued"),
    "they wait, and nobody has to",
  );
  const done = await Promise.all(started.map((one) => until(() => ended(one), "a job")));
  for (const [i, job] of done.entries()) {
    check(job.status === "done", `${shown(TASKS[i], 40)} → ${shown(job.result.content, 60)}`);
  }
  if (started.every(({ webhook }) => webhook)) await webhooks(done);
  else console.log(`  The server may not call ${WEBHOOK_URL}: no webhooks.`);
  for (const name of names) await ask("DELETE", `${SESSIONS}/${name}`, undefined, { status: 204 });
}

async function webhooks(done) {
  title("Webhooks");
  await until(() => done.every(({ id }) => received.has(id)), "a webhook");
  const secret = await signingSecret();
  for (const job of done) {
    const came = received.get(job.id);
    check(came.told.event === "job.completed", `${came.told.event} came for ${job.id}`);
    check(came.told.job.result.content === job.result.content, "with the same result");
    if (secret) check(isSigned(secret, came), "and signed by the server");
  }
  if (!secret) console.log("  This server does not sign.");
}

await run("parallel-jobs", async () => {
  const receiver = await listen();
  try {
    await jobs();
  } finally {
    receiver.close();
    receiver.closeAllConnections();
  }
});
