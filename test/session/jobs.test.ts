/** Jobs: turns that nobody waits for, one after the other, each with one end. */
import { env } from "cloudflare:workers";
import { expect, test } from "vitest";
import { accountOf } from "../../src/account/client.ts";
import { jobId } from "../../src/shared/ids.ts";
import { jobObject, jobStatus } from "../../src/shared/job-object.ts";
import { httpError, refusal, text, toolUse } from "../../src/standin/replies.ts";
import { builtinToolset } from "../../src/tools/registry.ts";
import { newAccountName } from "../support/accounts.ts";
import {
  held,
  reached,
  refusalOf,
  runAlarm,
  type TestSession,
  toolset,
  useSessions,
} from "../support/sessions.ts";

const sessions = useSessions();

const statusOf = async (session: TestSession, job: number) => jobStatus(await session.jobNow(job));

const cancel = (session: TestSession, input: number, submission?: string) =>
  session.submit({ kind: "cancel_job", input }, submission === undefined ? {} : { submission });

/** Resolves once the job has its end. */
const ended = (session: TestSession, job: number) =>
  session.reader.until(() =>
    session.reader.rows.some(
      ({ type, body }) =>
        (type === "outcome" && body.inputs.includes(job)) ||
        (type === "input.cancelled" && body.input === job),
    ),
  );

test("jobs run one after the other in the order in which they came, also with equal bodies", async () => {
  const session = await sessions.create();
  const first = held({ block: 0, delta: 1 }, [text("One.", { deltas: ["On", "e."] })]);
  const zero = held({ block: 0, delta: 1 }, [text("Zero.", { deltas: ["Ze", "ro."] })]);
  sessions.script(zero.reply, first.reply, text("Two."), text("Three."));
  const message = await session.send("Count", { hash: "same" });
  await reached(zero.gate);
  const jobs: number[] = [];
  for (const _ of [1, 2, 3]) jobs.push(await session.job("Count", { hash: "same" }));
  expect(new Set([message.input, ...jobs]).size).toBe(4);
  await session.open(zero.gate);
  await reached(first.gate);
  const before = await Promise.all(jobs.map((job) => statusOf(session, job)));
  expect(before).toEqual(["running", "queued", "queued"]);
  await session.open(first.gate);
  await ended(session, jobs[2] ?? 0);
  const records = await Promise.all(jobs.map((job) => session.jobNow(job)));
  expect(records.map(({ content }) => content)).toEqual(["One.", "Two.", "Three."]);
  expect(records.map(jobStatus)).toEqual(["done", "done", "done"]);
});

test("a job is told with the keys of claude-code-api", async () => {
  const session = await sessions.create();
  const answer = held({ block: 0, delta: 1 }, [text("Hello.", { deltas: ["Hel", "lo."] })]);
  sessions.script(answer.reply);
  const job = await session.job("Hi");
  await reached(answer.gate);
  const running = jobObject(await session.jobNow(job), session.id);
  expect(running).toMatchObject({ status: "running", result: null, tools_used: null, cost: 0 });
  expect(running.completed_at).toBeNull();
  await session.open(answer.gate);
  await ended(session, job);
  const record = await session.jobNow(job);
  const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+\+00:00$/);
  expect(jobObject(record, session.id)).toEqual({
    id: jobId(session.id, 2),
    status: "done",
    message: "Hi",
    webhook_url: null,
    result: {
      session_id: `sess_${session.id}`,
      content: "Hello.",
      cost: record.cost_usd,
      duration_ms: record.duration_ms,
      num_turns: 1,
      tools_used: [],
    },
    error: null,
    cost: record.cost_usd,
    duration_ms: record.duration_ms,
    tools_used: [],
    created_at: time,
    started_at: time,
    completed_at: time,
    delivery: null,
  });
  expect(record.cost_usd).toBeGreaterThan(0);
});

test("a job waits for the end of a turn that waits for its client, and settles none of its calls", async () => {
  const session = await sessions.create({ tools: toolset("look") });
  sessions.script(toolUse("look", {}), text("Blue."), text("Done."));
  await session.turn("Look");
  const job = await session.job("Meanwhile", { tools: { tools: {} } });
  expect(await statusOf(session, job)).toBe("queued");
  const [call = ""] = await session.pending();
  await session.results({ [call]: "blue" });
  await ended(session, job);
  expect(await statusOf(session, job)).toBe("done");
});

test("a message that takes the place of such a turn runs before the jobs", async () => {
  const session = await sessions.create({ tools: toolset("look") });
  sessions.script(toolUse("look", {}), text("Never mind."), text("Done."));
  await session.turn("Look");
  const job = await session.job("Meanwhile", { tools: { tools: {} } });
  await session.turn("Forget it", { tools: { tools: {} } });
  await ended(session, job);
  expect((await session.jobNow(job)).content).toBe("Done.");
});

test("an outcome decides what became of a job", async () => {
  const session = await sessions.create({ tools: builtinToolset() });
  sessions.script(
    refusal("cyber"),
    httpError(401),
    toolUse("LS", { path: "/workspace" }),
    toolUse("LS", { path: "/workspace" }),
  );
  const refused = await session.job("Refuse");
  const failed = await session.job("Fail");
  const limited = await session.job("Look", { limits: { plain: 2, tools: 2 } });
  const broke = await session.job("Spend", {
    limits: { plain: 8, tools: 8, max_budget_usd: 0 },
  });
  await ended(session, broke);
  const ends = await Promise.all(
    [refused, failed, limited, broke].map(async (job) => {
      const { status, error, result } = jobObject(await session.jobNow(job), session.id);
      return [status, error === null, result === null];
    }),
  );
  expect(ends).toEqual([
    ["failed", false, true],
    ["failed", false, true],
    ["done", true, false],
    ["failed", false, true],
  ]);
  const { outcome, tools_used, num_turns } = await session.jobNow(limited);
  expect([outcome, tools_used.length, num_turns]).toEqual(["max_turns", 2, 4]);
});

test("a job whose tool nobody answers fails, and the next one runs", async () => {
  const session = await sessions.create({ tools: toolset("look") });
  sessions.script([text("I look."), toolUse("look", {})], text("Done."));
  const asks = await session.job("Look");
  const next = await session.job("Go on", { tools: { tools: {} } });
  await ended(session, next);
  const record = await session.jobNow(asks);
  expect(record).toMatchObject({ outcome: "failed", code: "job_needs_answer" });
  expect(jobObject(record, session.id).error).toContain("nobody waits for a job");
  expect(await session.pending()).toEqual([]);
  expect(await statusOf(session, next)).toBe("done");
});

test("a job that waits is cancelled without a trace in the conversation", async () => {
  const session = await sessions.create();
  const first = held({ block: 0, delta: 1 }, [text("One.", { deltas: ["On", "e."] })]);
  sessions.script(first.reply, text("Three."));
  const one = await session.job("One");
  const two = await session.job("Two");
  const three = await session.job("Three");
  await reached(first.gate);
  const once = await cancel(session, two, "cancel-two");
  expect(once.ok && once.queued).toEqual([three]);
  expect(await cancel(session, two, "cancel-two")).toMatchObject({ accepted: { replayed: true } });
  await session.open(first.gate);
  await ended(session, three);
  const record = await session.jobNow(two);
  expect(record).toMatchObject({ status: "cancelled", started_at: null, cost_usd: 0, content: "" });
  expect(jobObject(record, session.id)).toMatchObject({ status: "cancelled", result: null });
  expect(record.ended_at).not.toBeNull();
  expect(JSON.stringify(sessions.messages(1))).not.toContain("Two");
  expect([await statusOf(session, one), await statusOf(session, three)]).toEqual(["done", "done"]);
});

test("a job that runs is interrupted and keeps its text and its cost; the next one runs", async () => {
  const session = await sessions.create();
  const first = held({ block: 0, delta: 1 }, [text("One two", { deltas: ["One", " two"] })]);
  sessions.script(first.reply, text("Next."));
  const one = await session.job("Count");
  const two = await session.job("Then");
  await session.reader.until(() => session.reader.previewed === "One");
  await cancel(session, one);
  await ended(session, two);
  const record = await session.jobNow(one);
  expect(record).toMatchObject({ outcome: "interrupted", content: "One" });
  expect(record.cost_usd).toBeGreaterThan(0);
  const told = jobObject(record, session.id);
  expect(told).toMatchObject({ status: "cancelled", cost: record.cost_usd });
  expect(told.result?.content).toBe("One");
  expect(await statusOf(session, two)).toBe("done");
});

test("what has ended or is no job cannot be cancelled", async () => {
  const session = await sessions.create();
  sessions.script(text("Done."), httpError(401), text("Hello."));
  const done = await session.job("Work");
  await ended(session, done);
  const failed = await session.job("Fail");
  await ended(session, failed);
  const message = await session.send("Hi");
  await session.outcome(message);
  expect(await cancel(session, done)).toMatchObject({
    refusal: { code: "job_ended", about: "done" },
  });
  expect(await cancel(session, failed)).toMatchObject({
    refusal: { code: "job_ended", about: "failed" },
  });
  for (const input of [message.input ?? 0, 999]) {
    expect(refusalOf(await cancel(session, input))).toBe("unknown_job");
    expect(await session.stub.job(input)).toBe("unknown");
  }
});

test("a job that another message interrupts is cancelled", async () => {
  const session = await sessions.create();
  const first = held({ block: 0, delta: 1 }, [text("One two", { deltas: ["One", " two"] })]);
  sessions.script(first.reply, text("Yes?"));
  const job = await session.job("Count");
  await reached(first.gate);
  await session.turn("Stop", { on_busy: "interrupt" });
  expect(await statusOf(session, job)).toBe("cancelled");
});

test("jobs go on where they were when the object dies", async () => {
  const session = await sessions.create();
  const first = held({ block: 0, delta: 1 }, [text("One.", { deltas: ["On", "e."] })]);
  sessions.script(first.reply, text("One again."), text("Two."), text("Three."));
  const jobs: number[] = [];
  for (const words of ["One", "Two", "Three"]) jobs.push(await session.job(words));
  await reached(first.gate);
  await session.crash();
  await ended(session, jobs[2] ?? 0);
  const records = await Promise.all(jobs.map((job) => session.jobNow(job)));
  expect(records.map(({ content }) => content)).toEqual(["One again.", "Two.", "Three."]);
});

test("jobs are listed newest first, and the account is told how many there are", async () => {
  const account = newAccountName();
  const session = await sessions.create({ account });
  const last = held({ block: 0, delta: 1 }, [text("Four.", { deltas: ["Fo", "ur."] })]);
  sessions.script(text("One."), httpError(401), last.reply);
  const one = await session.job("One");
  await ended(session, one);
  const two = await session.job("Two");
  await ended(session, two);
  const three = await session.job("Three");
  const four = await session.job("Four");
  await reached(last.gate);
  await cancel(session, four);
  const listed = async (offset: number, limit: number) => {
    const page = await session.stub.jobs(offset, limit);
    return [page?.jobs.map(({ job }) => job), page?.total];
  };
  expect(await listed(0, 10)).toEqual([[four, three, two, one], 4]);
  expect(await listed(1, 2)).toEqual([[three, two], 4]);
  expect(await listed(4, 2)).toEqual([[], 4]);
  await session.open(last.gate);
  await ended(session, three);
  // What the account may lack it is told by the alarm.
  await runAlarm(session);
  const { sessions: known } = await accountOf(env, account).list({ limit: 10, cursor: null });
  expect(known.map((one) => one.jobs)).toEqual([{ total: 4, done: 2, failed: 1, running: 0 }]);
});

test("a session without jobs has none", async () => {
  const session = await sessions.create();
  expect(await session.stub.jobs(0, 10)).toEqual({ jobs: [], total: 0 });
  expect(await session.stub.job(1)).toBe("unknown");
});
