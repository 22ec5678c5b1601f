/** Jobs: their life, their order, and how they are cancelled. Webhooks have a file of their own. */
import { runInDurableObject } from "cloudflare:test";
import { expect, test } from "vitest";
import { createGate, type Gate } from "../../src/standin/gate.ts";
import { holdAt, httpError, reply, text, toolUse } from "../../src/standin/replies.ts";
import { inside, objectOf, standin, withStandin } from "../api/cc/server.ts";
import {
  BASE,
  chat,
  dataOf,
  get,
  historyOf,
  nativeOf,
  newSession,
  post,
  problemOf,
  turnsEnded,
} from "../api/code/client.ts";
import { reached } from "../support/sessions.ts";

withStandin();

interface Job {
  id: string;
  status: string;
  message: string;
  result: { content: string; cost: number } | null;
  error: string | null;
  cost: number;
  tools_used: { name: string }[] | null;
  created_at: string;
  started_at: string | null;
  completed_at: string | null;
}

const submit = async (session: string, message: string, more: object = {}): Promise<Job> =>
  dataOf<Job>(post(`${session}/jobs`, { message, ...more }));

const jobOf = (session: string, { id }: Job): Promise<Job> =>
  dataOf<Job>(get(`${session}/jobs/${id}`));

const cancel = (session: string, { id }: Pick<Job, "id">): Promise<Response> =>
  post(`${session}/jobs/${id}/cancel`);

const statuses = async (session: string): Promise<string[]> =>
  (await dataOf<Job[]>(get(`${session}/jobs`))).map(({ status }) => status);

/** An answer that stops in its middle. */
function held(words: string): { gate: Gate; answer: ReturnType<typeof reply> } {
  const gate = createGate();
  const acts = [holdAt({ block: 0, delta: 1 }, gate)];
  return { gate, answer: reply({ blocks: [text(words)], acts }) };
}

const open = (session: string, gate: Gate) => inside(nativeOf(session), () => gate.open());

test("a job is 202 and queued, with all its fields", async () => {
  const session = await newSession();
  standin.script(text("Done."));
  const response = await post(`${session}/jobs`, { message: "Do it" });
  expect(response.status).toBe(202);
  const answer = await response.json<{ data: Job; meta: object }>();
  expect(answer).toEqual({
    data: {
      id: expect.stringMatching(/^[0-9a-f]{16}$/),
      status: "queued",
      message: "Do it",
      webhook_url: null,
      result: null,
      error: null,
      cost: 0,
      duration_ms: 0,
      tools_used: null,
      created_at: expect.stringMatching(/\.\d{6}\+00:00$/),
      started_at: null,
      completed_at: null,
      delivery: null,
    },
    meta: expect.objectContaining({ version: "v1" }),
  });
  expect(response.headers.get("location")).toMatch(new RegExp(`/jobs/${answer.data.id}$`));
  await turnsEnded(session, 1);
});

test("when it is done its result is an object with the six members, also in the list", async () => {
  const session = await newSession();
  standin.script(toolUse("LS", { path: "." }), text("Done."));
  const job = await submit(session, "Do it");
  await turnsEnded(session, 1);
  const done = await jobOf(session, job);
  expect(done).toMatchObject({
    id: job.id,
    status: "done",
    result: {
      session_id: expect.stringMatching(/^sess_/),
      content: "Done.",
      cost: done.cost,
      duration_ms: expect.any(Number),
      num_turns: 3,
      tools_used: [{ name: "LS", input: { path: "." } }],
    },
    error: null,
    tools_used: [{ name: "LS", input: { path: "." } }],
    created_at: job.created_at,
    started_at: expect.any(String),
    completed_at: expect.any(String),
  });
  expect(await dataOf<Job[]>(get(`${session}/jobs`))).toEqual([done]);
  expect(await historyOf(session)).toMatchObject([{ content: "Do it" }, { content: "Done." }]);
});

test("jobs of one session run one after the other, in the order in which they came", async () => {
  const session = await newSession();
  const { gate, answer } = held("First.");
  standin.script(answer, text("Second."), text("Third."));
  const jobs = [await submit(session, "1")];
  await reached(gate);
  jobs.push(await submit(session, "2"), await submit(session, "3"));
  // The newest first.
  expect(await statuses(session)).toEqual(["queued", "queued", "running"]);
  await open(session, gate);
  await turnsEnded(session, 3);
  const done = await Promise.all(jobs.map((job) => jobOf(session, job)));
  expect(done.map(({ result }) => result?.content)).toEqual(["First.", "Second.", "Third."]);
});

test("the same words twice are two jobs, and a chat of them is a third turn", async () => {
  const session = await newSession();
  const { gate, answer } = held("First.");
  standin.script(answer, text("Second."), text("Third."));
  const first = await submit(session, "Again");
  await reached(gate);
  const second = await submit(session, "Again");
  const talk = chat(session, "Again");
  expect(second.id).not.toBe(first.id);
  await open(session, gate);
  expect((await talk).content).toBe("Third.");
  expect((await jobOf(session, second)).result?.content).toBe("Second.");
});

test("a job waits for a chat, and a chat for a job", async () => {
  const session = await newSession();
  const { gate, answer } = held("Chat.");
  standin.script(answer, text("Job."));
  const talk = chat(session, "Talk");
  await reached(gate);
  const job = await submit(session, "Work");
  expect((await jobOf(session, job)).status).toBe("queued");
  await open(session, gate);
  await talk;
  await turnsEnded(session, 2);
  expect((await jobOf(session, job)).result?.content).toBe("Job.");
});

test("jobs of different sessions run at the same time", async () => {
  const sessions = [await newSession(), await newSession(), await newSession()];
  const answers = sessions.map((_, n) => held(`Job ${n}.`));
  for (const [n, session] of sessions.entries()) {
    standin.script(answers[n]?.answer ?? text(""));
    await submit(session, "Work");
    await reached(answers[n]?.gate ?? createGate());
  }
  for (const session of sessions) expect(await statuses(session)).toEqual(["running"]);
  for (const [n, session] of sessions.entries()) {
    await open(session, answers[n]?.gate ?? createGate());
    await turnsEnded(session, 1);
    expect(await statuses(session)).toEqual(["done"]);
  }
});

test("a job that fails says why", async () => {
  const session = await newSession();
  standin.script(httpError(400, { message: "prompt is too long: 9 tokens > 8 maximum" }));
  const job = await submit(session, "Work");
  await turnsEnded(session, 1);
  expect(await jobOf(session, job)).toMatchObject({
    status: "failed",
    result: null,
    error: expect.stringContaining("prompt is too long"),
  });
});

test("a queued job that is cancelled never runs, and the history does not know it", async () => {
  const session = await newSession();
  const { gate, answer } = held("First.");
  standin.script(answer);
  const first = await submit(session, "1");
  await reached(gate);
  const second = await submit(session, "2");
  const response = await cancel(session, second);
  expect(await response.json()).toEqual({
    data: { id: second.id, status: "cancelling" },
    meta: expect.objectContaining({ version: "v1" }),
  });
  expect(await jobOf(session, second)).toMatchObject({
    status: "cancelled",
    cost: 0,
    result: null,
  });
  await open(session, gate);
  await turnsEnded(session, 1);
  expect((await jobOf(session, first)).status).toBe("done");
  expect((await historyOf(session)).map(({ content }) => content)).toEqual(["1", "First."]);
});

test("a running job that is cancelled keeps its text and its cost, and touches no other", async () => {
  const session = await newSession();
  const { gate, answer } = held("Hello there, you.");
  standin.script(answer, text("Second."));
  const first = await submit(session, "1");
  await reached(gate);
  const second = await submit(session, "2");
  expect((await cancel(session, first)).status).toBe(200);
  await turnsEnded(session, 2);
  const stopped = await jobOf(session, first);
  expect(stopped.status).toBe("cancelled");
  expect(stopped.cost).toBeGreaterThan(0);
  expect("Hello there, you.".startsWith(stopped.result?.content ?? "-")).toBe(true);
  expect(stopped.completed_at).not.toBeNull();
  expect((await jobOf(session, second)).result?.content).toBe("Second.");
  await open(session, gate);
});

test.each(["done", "failed", "cancelled"])(
  "a job that is %s cannot be cancelled",
  async (status) => {
    const session = await newSession();
    standin.script(status === "failed" ? httpError(400, { message: "no" }) : text("Done."));
    const { gate, answer } = held("Held.");
    if (status === "cancelled") {
      standin.reset();
      standin.script(answer);
    }
    const job = await submit(session, "Work");
    if (status === "cancelled") {
      await reached(gate);
      await cancel(session, job);
      await open(session, gate);
    }
    await turnsEnded(session, 1);
    expect(await problemOf(cancel(session, job))).toMatchObject({
      title: "Conflict",
      status: 409,
      detail: `Job already ${status}`,
    });
  },
);

test("what is no job of this session is 404", async () => {
  const [session, other] = [await newSession(), await newSession()];
  standin.script(text("Done."), text("Talk."));
  const job = await submit(session, "Work");
  await turnsEnded(session, 1);
  await chat(other, "Hi");
  for (const [path, id] of [
    [session, "0000000000000999"],
    [session, "nonsense"],
    [session, ""],
    // The number of a message that is none, and of another session's job.
    [other, "0000000000000002"],
    [other, job.id],
  ]) {
    if (id === "") continue;
    const read = await problemOf(get(`${path}/jobs/${id}`));
    expect(read).toMatchObject({ status: 404, detail: "Job not found" });
    const stopped = await problemOf(cancel(path ?? "", { id: id ?? "" }));
    expect(stopped).toMatchObject({ status: 404, detail: "Job not found" });
  }
  expect((await get(`${BASE}/sessions/nobody/jobs/${job.id}`)).status).toBe(404);
});

test("the list is paged, the newest first", async () => {
  const session = await newSession();
  standin.script(text("1"), text("2"), text("3"));
  for (const message of ["a", "b", "c"]) await submit(session, message);
  await turnsEnded(session, 3);
  const page = async (query: string) => {
    const response = await get(`${session}/jobs?${query}`);
    const { data, pagination } = await response.json<{ data: Job[]; pagination: object }>();
    return [data.map(({ message }) => message), pagination];
  };
  expect(await page("limit=2")).toEqual([["c", "b"], { total: 3, page: 1, limit: 2, pages: 2 }]);
  expect(await page("limit=2&page=2")).toEqual([["a"], { total: 3, page: 2, limit: 2, pages: 2 }]);
  expect(await page("page=7")).toEqual([[], { total: 3, page: 7, limit: 50, pages: 1 }]);
});

test("what runs and what waits goes on after a restart", async () => {
  const session = await newSession();
  const { gate, answer } = held("Lost.");
  standin.script(answer, text("First."), text("Second."));
  const jobs = [await submit(session, "1")];
  await reached(gate);
  jobs.push(await submit(session, "2"));
  const object = await objectOf(nativeOf(session));
  await runInDurableObject(object, (_, state) => state.abort("crash")).catch(() => {});
  await turnsEnded(session, 2);
  const done = await Promise.all(jobs.map((job) => jobOf(session, job)));
  expect(done.map(({ status, result }) => [status, result?.content])).toEqual([
    ["done", "First."],
    ["done", "Second."],
  ]);
});

test("a job may set what a message may", async () => {
  const session = await newSession();
  standin.script(text("Done."));
  await submit(session, "Work", { model: "claude-opus-5", system: "Be terse.", effort: "low" });
  await turnsEnded(session, 1);
  const call = JSON.stringify(standin.requests.at(0)?.body);
  for (const part of ['"claude-opus-5"', "Be terse.", '"effort":"low"']) {
    expect(call).toContain(part);
  }
});
