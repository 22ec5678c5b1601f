/** The same for the routes of claude-code-api, and for those of templates. */
import { expect, onTestFinished } from "vitest";
import { text } from "../../src/standin/replies.ts";
import { putAll } from "../api/cc/files-support.ts";
import { framesUntil, get, inside, post, send, standin } from "../api/cc/server.ts";
import { dataOf, nativeOf, newSession, once } from "../api/code/client.ts";
import { HOOK } from "../support/receiver.ts";
import { type Case, failing, first, idle, type Ready, running } from "./duplicates-cases.ts";

const codeOf = (session: string): string => session.replace("/api/", "/api/v1/");

const made = async (): Promise<Ready> => ({ session: nativeOf(await newSession()) });

const talking = async (): Promise<Ready> => {
  standin.script(text("Hello."));
  return made();
};

const ended = async (session: string): Promise<void> => {
  await framesUntil(await get(`${session}/events/stream?after=0`), "turn.completed");
};

/** A session that has said something, with a folder. */
const spoken = async (): Promise<Ready> => {
  const { session } = await talking();
  await dataOf(post(`${codeOf(session)}/chat`, { message: "Hi" }));
  await putAll(session, { "dir/old.txt": "old" });
  return { session };
};

/** The model will do a job, which is waited for. */
const working = async (): Promise<Ready> => {
  const { session } = await talking();
  return { session, finish: () => ended(session) };
};

const jobIn = async (session: string, more: object = {}): Promise<string> =>
  (await dataOf<{ id: string }>(post(`${codeOf(session)}/jobs`, { message: "Work", ...more }))).id;

/** A job is in the middle of its answer, or waits behind a turn that is. */
const open = (waits: boolean) => async (): Promise<Ready> => {
  if (!waits) {
    const { session, turn } = await running(jobIn);
    return { session, job: await turn };
  }
  const { session, gate, turn } = await running(first);
  const job = await jobIn(session);
  const finish = async (crashed: boolean) => {
    // The attempt of a dead object is not read; the next one is answered without a script.
    if (!crashed) await inside(session, () => gate.open());
    expect((await turn).status).toBe(200);
  };
  return { session, job, finish };
};

interface Told {
  delivery: { id: string; state: string } | null;
}

/** A job whose webhook was told of its end. */
async function told(): Promise<Ready> {
  const real = globalThis.fetch;
  globalThis.fetch = async () => new Response();
  onTestFinished(() => {
    globalThis.fetch = real;
  });
  const { session } = await talking();
  const job = await jobIn(session, { webhook_url: HOOK });
  const read = () => dataOf<Told>(get(`${codeOf(session)}/jobs/${job}`));
  const delivered = () => once(read, ({ delivery }) => delivery?.state === "delivered");
  const first = await delivered();
  const finish = async () => {
    expect((await delivered()).delivery?.id).not.toBe(first.delivery?.id);
  };
  return { session, job, finish };
}

let templates = 0;

async function withTemplate(): Promise<Ready> {
  templates += 1;
  const template = `twice-${templates}`;
  const path = `/api/templates/${template}`;
  expect((await send("PUT", path, { description: "Old." })).status).toBe(200);
  return { ...(await idle()), template };
}

const MESSAGE = { message: "Hi" };
const TURN = { wrote: { input: 1, outcome: 1 }, replayed: true } as const;
const none = { wrote: {}, replayed: false };

const CHAT: Case[] = [
  { name: "a message", ready: talking, body: MESSAGE, ...TURN },
  {
    name: "a message with settings of its own",
    ready: talking,
    body: {
      ...MESSAGE,
      model: "opus",
      system: "Be brief.",
      effort: "low",
      permission_mode: "plan",
    },
    ...TURN,
  },
  {
    name: "a message that fails",
    ready: failing,
    body: MESSAGE,
    wrote: { input: 1, outcome: 1, failure: 1 },
    replayed: true,
  },
];

/** What says how far a job is by now. */
const PROGRESS = [
  "status",
  "result",
  "cost",
  "duration_ms",
  "tools_used",
  "started_at",
  "completed_at",
  "delivery",
];

/** A form as browsers send it: with another boundary each time. */
function form(): FormData {
  const form = new FormData();
  form.append("path", "dir/new.txt");
  form.append("file", new File(["new"], "any.txt"));
  return form;
}

export const CODE_CASES: Record<string, Case[]> = {
  "POST /api/v1/sessions": [
    { name: "a session", ready: idle, body: { name: "one" }, wrote: {}, replayed: true },
    {
      name: "a session from a template",
      ready: idle,
      body: { name: "one", template: "debug", user_id: "me" },
      wrote: {},
      replayed: true,
    },
  ],
  "DELETE /api/v1/sessions/:name": [
    { name: "the session", ready: made, ...none, statuses: [204, 404] },
  ],
  "POST /api/v1/sessions/:name/repo": [
    {
      name: "a folder",
      ready: spoken,
      body: { working_dir: "dir" },
      wrote: { "session.updated": 1 },
      replayed: true,
    },
  ],
  "POST /api/v1/sessions/:name/chat": [
    ...CHAT,
    {
      name: "a message for later",
      ready: working,
      body: MESSAGE,
      headers: { prefer: "wait=0" },
      wrote: { input: 1 },
      replayed: true,
    },
  ],
  "POST /api/v1/sessions/:name/chat/stream": CHAT,
  "POST /api/v1/sessions/:name/jobs": [
    {
      name: "a job",
      ready: working,
      body: MESSAGE,
      wrote: { input: 1 },
      replayed: true,
      varies: PROGRESS,
    },
  ],
  "POST /api/v1/sessions/:name/jobs/:job/cancel": [
    {
      name: "a job that runs",
      ready: open(false),
      wrote: { interrupt: 1, outcome: 1 },
      replayed: true,
    },
    {
      name: "a job that waits",
      ready: open(true),
      wrote: { "input.cancelled": 1, interrupt: 0 },
      replayed: true,
    },
  ],
  "POST /api/v1/sessions/:name/jobs/:job/redeliver": [
    {
      name: "a webhook",
      ready: told,
      wrote: { input: 1, "webhook.requested": 1 },
      replayed: true,
      varies: ["delivery"],
    },
  ],
  "POST /api/v1/sessions/:name/files": [
    {
      name: "a form",
      ready: made,
      body: form,
      wrote: {},
      replayed: true,
      files: { "dir/new.txt": "new" },
    },
  ],
  "POST /api/v1/tokens/count": [{ name: "a text", ready: idle, body: { text: "Hi" }, ...none }],
  "POST /api/v1/templates/reload": [{ name: "nothing", ready: idle, ...none }],
  "POST /api/templates/import": [
    { name: "a file", ready: idle, body: { twice: { description: "New." } }, ...none },
  ],
  "PUT /api/templates/:template": [
    { name: "another one", ready: withTemplate, body: { description: "New." }, ...none },
  ],
  "DELETE /api/templates/:template": [
    { name: "a template", ready: withTemplate, ...none, statuses: [200, 404] },
  ],
};
