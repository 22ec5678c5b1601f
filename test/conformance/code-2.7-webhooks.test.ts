/** Webhooks of jobs, as clients of `/api/v1` see them: addresses, bodies, deliveries. */
import { expect, test } from "vitest";
import { text } from "../../src/standin/replies.ts";
import { serverWith, standin, withStandin } from "../api/cc/server.ts";
import {
  dataOf,
  get,
  idOf,
  newSession,
  once,
  post,
  problemOf,
  turnsEnded,
} from "../api/code/client.ts";
import { HOOK, useReceiver } from "../support/receiver.ts";

withStandin();
const receiver = useReceiver();

interface Job {
  id: string;
  status: string;
  webhook_url: string | null;
  delivery: { id: string; state: string; attempts: number; last_status: number | null } | null;
}

const jobOf = (session: string, id: string) => dataOf<Job>(get(`${session}/jobs/${id}`));

/** The job once its delivery is as far as that. */
const delivered = (session: string, id: string, state = "delivered") =>
  once(
    () => jobOf(session, id),
    ({ delivery }) => delivery?.state === state,
  );

test.each([
  "http://hooks.example.com/",
  "ftp://hooks.example.com/",
  "https://user:password@hooks.example.com/",
  "https://hooks.example.com:8443/",
  "https://127.0.0.1/",
  "https://2130706433/",
  "https://0x7f.1/",
  "https://[::1]/",
  "https://[::ffff:10.0.0.1]/",
  "https://10.0.0.1/",
  "https://192.168.1.1/",
  "https://169.254.169.254/latest/meta-data",
  "https://metadata.google.internal/",
  "https://localhost/",
  "https://service.internal/",
  "https://8.8.8.8/",
  "hooks.example.com",
])("the address %j is refused before anything is kept", async (webhook_url) => {
  const session = await newSession();
  const response = await post(`${session}/jobs`, { message: "Work", webhook_url });
  const problem = await problemOf(response);
  expect(problem.status).toBe(422);
  expect(problem.errors).toMatchObject([{ field: "body -> webhook_url" }]);
  expect(await dataOf(get(`${session}/jobs`))).toEqual([]);
});

test("an empty address is none", async () => {
  const session = await newSession();
  standin.script(text("Done."));
  const job = await dataOf<Job>(post(`${session}/jobs`, { message: "Work", webhook_url: "" }));
  expect(job.webhook_url).toBeNull();
  await turnsEnded(session, 1);
});

test("an address has at most 2,048 characters", async () => {
  const webhook_url = `https://hooks.example.com/${"x".repeat(2_048)}`;
  const problem = await problemOf(
    post(`${await newSession()}/jobs`, { message: "x", webhook_url }),
  );
  expect(problem.errors).toMatchObject([{ field: "body -> webhook_url", type: "string_too_long" }]);
});

test("a host of the owner's list is let through, also over http", async () => {
  const server = serverWith({ FETCH_ALLOW_HOSTS: "localhost:9000" });
  const session = await newSession();
  standin.script(text("Done."));
  const body = { message: "Work", webhook_url: "http://localhost:9000/hook" };
  expect((await server("POST", `${session}/jobs`, body)).status).toBe(202);
  await turnsEnded(session, 1);
});

test("the body has the original's keys, and the job what became of it", async () => {
  const session = await newSession();
  standin.script(text("Done."));
  const { id } = await dataOf<Job>(post(`${session}/jobs`, { message: "Work", webhook_url: HOOK }));
  const { delivery, ...job } = await delivered(session, id);
  expect(delivery).toMatchObject({
    id: expect.stringMatching(/^msg_/),
    state: "delivered",
    attempts: 1,
    last_status: 200,
  });
  const [message] = receiver.received;
  expect(message?.url).toBe(HOOK);
  expect(message?.body).toMatchObject({
    event: "job.completed",
    job: { ...job, session_rowid: idOf(session) },
    type: "job.completed",
  });
  expect(message?.headers.get("webhook-id")).toBe(delivery?.id);
  expect(message?.headers.get("webhook-timestamp")).toMatch(/^\d{10}$/);
});

test("it can be told once more, as something new", async () => {
  const session = await newSession();
  standin.script(text("Done."));
  const { id } = await dataOf<Job>(post(`${session}/jobs`, { message: "Work", webhook_url: HOOK }));
  const first = await delivered(session, id);
  const again = await post(`${session}/jobs/${id}/redeliver`);
  expect(again.status).toBe(202);
  expect(await again.json()).toMatchObject({ data: { id, status: "done" } });
  const second = await once(
    () => delivered(session, id),
    ({ delivery }) => delivery?.id !== first.delivery?.id,
  );
  const ids = receiver.received.map(({ headers }) => headers.get("webhook-id"));
  expect(ids).toEqual([first.delivery?.id, second.delivery?.id]);
});

test("there is nothing to tell again without a webhook, or without a job", async () => {
  const session = await newSession();
  standin.script(text("Done."));
  const { id } = await dataOf<Job>(post(`${session}/jobs`, { message: "Work" }));
  await turnsEnded(session, 1);
  expect(await problemOf(post(`${session}/jobs/${id}/redeliver`))).toMatchObject({
    status: 409,
    error: { code: "no_webhook" },
  });
  expect((await post(`${session}/jobs/0000000000000999/redeliver`)).status).toBe(404);
});
