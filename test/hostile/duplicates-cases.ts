/** What each route may be asked that has an effect of its own. */
import { expect } from "vitest";
import type { RowType } from "../../src/shared/rows.ts";
import { createGate } from "../../src/standin/gate.ts";
import { compaction, holdAt, httpError, reply, text, toolUse } from "../../src/standin/replies.ts";
import {
  framesUntil,
  functionTool,
  get,
  inside,
  newSession,
  post,
  standin,
} from "../api/cc/server.ts";

const tools = [functionTool("look")];

/** A session's path, and how its open model call comes to an end. */
export interface Ready {
  session: string;
  /** What stands for `:key`, `:job` and `:template` in the path. */
  key?: string;
  job?: string;
  template?: string;
  finish?: (crashed: boolean) => Promise<void>;
}

export interface Case {
  name: string;
  ready: () => Promise<Ready>;
  /** What stands for `:input` or `*` in the path. */
  input?: string;
  /** A function makes it anew for each request, and is given what is ready. */
  body?: unknown;
  headers?: Record<string, string>;
  /** Rows that one request writes, by their type. */
  wrote: Partial<Record<RowType, number>>;
  /** The second answer says that it is one. */
  replayed: boolean;
  /** Members of the `data` that is answered which say how far it is by now. */
  varies?: readonly string[];
  /** Their statuses, where the second has another. */
  statuses?: [number, number];
  /** Files that are there afterwards, with their contents. */
  files?: Record<string, string>;
}

export const idle = async (): Promise<Ready> => ({ session: await newSession() });

/** There is a managed key. */
async function withKey(): Promise<Ready> {
  const made = await post("/api/keys", { name: "old" });
  return { ...(await idle()), key: (await made.json<{ id: string }>()).id };
}

/** The model will answer. */
export const talking = async (): Promise<Ready> => {
  standin.script(text("Hello."));
  return { session: await newSession() };
};

export const failing = async (): Promise<Ready> => {
  standin.script(httpError(401));
  return { session: await newSession() };
};

/** The call `call_3_0` waits for its result, to which the model will answer. */
const awaiting = async (): Promise<Ready> => {
  const session = await newSession();
  standin.script(toolUse("look", {}));
  await post(`${session}/turns`, { input: "Look", tools });
  return { session };
};

const answering = async (): Promise<Ready> => {
  const ready = await awaiting();
  standin.script(text("Blue."));
  return ready;
};

/** There is something to be compacted. */
const spoken = async (): Promise<Ready> => {
  const session = await newSession({ tools: [] });
  standin.script(text("Hello."), compaction("They met."));
  await post(`${session}/turns`, { input: "Hi" });
  return { session };
};

export const first = (session: string) => post(`${session}/turns`, { input: "first" });

/** A turn runs until its gate opens. `start` begins it. */
export async function running<T>(start: (session: string) => Promise<T>) {
  const session = await newSession();
  const gate = createGate();
  const acts = [holdAt({ block: 0, delta: 1 }, gate)];
  standin.script(reply({ blocks: [text("Hello there, you.")], acts }));
  const turn = start(session);
  await framesUntil(await get(`${session}/events/stream`), "assistant.delta");
  return { session, gate, turn };
}

/** The message `input_4` waits behind a turn that runs. */
async function queued(): Promise<Ready> {
  const { session, gate, turn } = await running(first);
  await post(`${session}/turns`, { input: "second" }, { prefer: "wait=0" });
  const finish = async (crashed: boolean) => {
    // The attempt of a dead object is not read; the next one is answered without a script.
    if (!crashed) await inside(session, () => gate.open());
    expect((await turn).status).toBe(200);
  };
  return { session, finish };
}

/** The session's own tool wants to write a file, and the model will answer. */
const asking = async (): Promise<Ready> => {
  const session = await newSession({ permissions: { mode: "default" } });
  standin.script(toolUse("Write", { file_path: "a.txt", content: "A" }), text("Written."));
  await post(`${session}/turns`, { input: "Write" });
  return { session };
};

const results = { results: [{ tool_call_id: "call_3_0", content: "blue" }] };
const none = { wrote: {}, replayed: false };

export const CASES: Record<string, Case[]> = {
  "POST /api/sessions": [
    { name: "a session", ready: idle, body: { title: "One" }, wrote: {}, replayed: true },
  ],
  "PATCH /api/sessions/:id": [
    {
      name: "a title",
      ready: idle,
      body: { title: "New", metadata: { a: 1 } },
      wrote: { "session.updated": 1 },
      replayed: true,
    },
    { name: "no change", ready: idle, body: {}, ...none },
  ],
  "DELETE /api/sessions/:id": [{ name: "the session", ready: idle, ...none, statuses: [200, 404] }],
  "POST /api/sessions/:id/interrupt": [
    { name: "of open calls", ready: awaiting, wrote: { interrupt: 1, outcome: 2 }, replayed: true },
    { name: "of nothing", ready: idle, body: {}, wrote: {}, replayed: true },
    {
      name: "of a turn and its queue",
      ready: queued,
      body: { cancel_queued: true },
      wrote: { interrupt: 1, outcome: 1, "input.cancelled": 1 },
      replayed: true,
    },
  ],
  "POST /api/sessions/:id/compact": [
    {
      name: "of nothing",
      ready: idle,
      body: {},
      wrote: { "compaction.requested": 1, "compaction.ended": 1 },
      replayed: true,
    },
    {
      name: "of a conversation",
      ready: spoken,
      body: { instructions: "Briefly." },
      wrote: { "compaction.requested": 1, "context.compacted": 1 },
      replayed: true,
    },
  ],
  "POST /api/sessions/:id/turns": [
    {
      name: "as JSON",
      ready: talking,
      body: { input: "Hi" },
      wrote: { input: 1, outcome: 1 },
      replayed: true,
    },
    {
      name: "as a stream",
      ready: talking,
      body: { input: "Hi", stream: true },
      wrote: { input: 1, outcome: 1 },
      replayed: true,
    },
    {
      name: "for later",
      ready: talking,
      body: { input: "Hi" },
      headers: { prefer: "wait=0" },
      wrote: { input: 1, outcome: 1 },
      replayed: true,
    },
    {
      name: "that fails",
      ready: failing,
      body: { input: "Hi" },
      wrote: { input: 1, outcome: 1, failure: 1 },
      replayed: true,
    },
    {
      name: "instead of results",
      ready: answering,
      body: { input: "Hi" },
      wrote: { input: 2, "tool.ended": 1 },
      replayed: true,
    },
  ],
  "POST /api/sessions/:id/tool-results": [
    {
      name: "as JSON",
      ready: answering,
      body: results,
      wrote: { "tool.ended": 1, "turn.resumed": 1, outcome: 2 },
      replayed: true,
    },
    {
      name: "as a stream",
      ready: answering,
      body: { ...results, stream: true },
      wrote: { "tool.ended": 1, "turn.resumed": 1, outcome: 2 },
      replayed: true,
    },
  ],
  "POST /api/sessions/:id/confirmations": [
    {
      name: "of a call that is allowed",
      ready: asking,
      body: { confirmations: [{ tool_call_id: "call_3_0", decision: "allow" }] },
      wrote: { "tool.confirmed": 1, "tool.ended": 1, "turn.resumed": 1, outcome: 2 },
      replayed: true,
      files: { "a.txt": "A" },
    },
    {
      name: "of a call that is denied, as a stream",
      ready: asking,
      body: { confirmations: [{ tool_call_id: "call_3_0", decision: "deny" }], stream: true },
      wrote: { "tool.confirmed": 1, "tool.ended": 1, "turn.resumed": 1, outcome: 2 },
      replayed: true,
      files: {},
    },
  ],
  "DELETE /api/sessions/:id/queue/:input": [
    {
      name: "a message that waits",
      ready: queued,
      input: "input_4",
      wrote: { "input.cancelled": 1 },
      replayed: true,
    },
  ],
  "POST /api/sessions/:id/stream-ticket": [{ name: "a ticket", ready: idle, ...none }],
  "POST /api/keys": [
    {
      name: "a key",
      ready: idle,
      body: { name: "new" },
      wrote: {},
      replayed: true,
      statuses: [201, 409],
    },
  ],
  "PATCH /api/keys/:key": [
    {
      name: "a key's name",
      ready: withKey,
      body: { name: "new" },
      wrote: {},
      replayed: true,
    },
  ],
  "DELETE /api/keys/:key": [{ name: "a key", ready: withKey, ...none }],
  // Nothing is kept without an ENCRYPTION_KEY; with one, test/api/cc/own-key-kept.test.ts repeats it.
  "PUT /api/account/anthropic-key": [
    {
      name: "no ENCRYPTION_KEY",
      ready: idle,
      body: { api_key: "sk-ant-of-the-account" },
      ...none,
      statuses: [409, 409],
    },
  ],
  "DELETE /api/account/anthropic-key": [{ name: "an own key", ready: idle, ...none }],
};
