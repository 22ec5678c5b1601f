import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { ulid } from "ulid";
import { afterEach, beforeEach, expect } from "vitest";
import { type SessionStub, sessionStub } from "../../src/session/calls.ts";
import type {
  Accepted,
  AskedLimits,
  AskedOptions,
  Command,
  Confirmation,
  OnBusy,
  RefusalCode,
  Submission,
  SubmitAnswer,
  ToolResult,
} from "../../src/session/commands.ts";
import { Log } from "../../src/session/log.ts";
import type { Session } from "../../src/session/session.ts";
import { clock } from "../../src/shared/clock.ts";
import type { ContentBlock, JsonObject } from "../../src/shared/content.ts";
import type {
  ConfigChange,
  OutcomeBody,
  Row,
  SessionConfig,
  TurnModel,
} from "../../src/shared/rows.ts";
import type { CacheTtl, ModelSettings } from "../../src/shared/settings.ts";
import type { Surface } from "../../src/shared/summary.ts";
import type { Permissions, ToolChoice, ToolDefinition, Toolset } from "../../src/shared/tools.ts";
import type { JobRecord } from "../../src/shared/turn-record.ts";
import { createGate, type Gate } from "../../src/standin/gate.ts";
import type { Outcome, RecordedRequest } from "../../src/standin/journal.ts";
import { localStandin } from "../../src/standin/local.ts";
import {
  type At,
  holdAt,
  httpError,
  type MessageReply,
  type ReplyBlock,
  type Scripted,
} from "../../src/standin/replies.ts";
import type { Standin } from "../../src/standin/standin.ts";
import type { FakeClock } from "./fake-clock.ts";
import { beHome, home } from "./home.ts";
import { checkLog, checkRequests } from "./laws.ts";
import { Reader } from "./reader.ts";

export interface NewSession {
  model?: string;
  /** Default: a text that no other session of the test file has. */
  system?: string | null;
  tools?: Toolset;
  permissions?: Permissions;
  settings?: ModelSettings;
  cache_ttl?: CacheTtl;
  account?: string;
  /** More of its configuration. */
  config?: Partial<SessionConfig>;
  surface?: Surface;
}

export interface Sent {
  on_busy?: OnBusy;
  tools?: Toolset | null;
  tool_choice?: ToolChoice | null;
  parallel_tool_calls?: boolean | null;
  settings?: ModelSettings;
  /** For this message only. */
  model?: TurnModel;
  own?: string;
  cwd?: string;
  system_prompt?: string;
  limits?: AskedLimits;
  replay?: boolean;
  /** It is a job. */
  job?: { webhook_url: string | null };
  submission?: string;
  key?: { id: string; hash: string };
  /** Nobody waits for the response. */
  detached?: boolean;
  /** Whose key sends it, and whether that has a budget. */
  caller?: string;
  key_budget?: true;
  /** Default: one that no other submission has. */
  hash?: string;
}

const LIMITS: AskedLimits = { plain: 8, tools: 4 };

/**
 * Tools by name. `name:2` is another definition under the same name.
 *
 * @example toolset("read", "write:2")
 */
export function toolset(...names: string[]): Toolset {
  const list = names.map((one): ToolDefinition => {
    const [name = "", version = "1"] = one.split(":");
    const description = `Does ${name}, version ${version}.`;
    return { name, description, input_schema: { type: "object", properties: {} } };
  });
  const tools = Object.fromEntries(list.map((tool) => [tool.name, `hash of ${tool.description}`]));
  return list.length > 0 ? { tools, list } : { tools };
}

let count = 0;

const asContent = (content: string | ContentBlock[]): ContentBlock[] =>
  typeof content === "string" ? [{ type: "text", text: content }] : content;

/** A session of the test, with a client that reads it from the first row on. */
export class TestSession {
  readonly account: string;
  readonly id: string;
  readonly stub: SessionStub;
  readonly system: string | null;
  /** All system prompts that it has had. */
  readonly prompts: (string | null)[];
  readonly reader: Reader;
  readonly #setup: NewSession;

  constructor(setup: NewSession) {
    count += 1;
    this.#setup = setup;
    this.account = setup.account ?? "acct_test";
    this.id = ulid();
    this.system = setup.system === undefined ? `Session ${count}.` : setup.system;
    this.prompts = [this.system];
    this.stub = sessionStub(env, this.account, this.id);
    this.reader = new Reader(this.stub);
  }

  async create(): Promise<void> {
    const { surface } = this.#setup;
    const config: SessionConfig = {
      model: this.#setup.model ?? "claude-sonnet-5-5",
      title: null,
      system_prompt: this.system,
      metadata: {},
      toolset: this.#setup.tools ?? { tools: {} },
      ...(this.#setup.permissions ? { permissions: this.#setup.permissions } : {}),
      ...(this.#setup.settings ? { settings: this.#setup.settings } : {}),
      ...(this.#setup.cache_ttl ? { cache_ttl: this.#setup.cache_ttl } : {}),
      ...this.#setup.config,
    };
    const created = await this.stub.create(ulid(), config, surface ? { surface } : {});
    expect(created.ok).toBe(true);
    this.reader.attach();
    // Once it has the first row it is attached, so no preview can escape it.
    await this.reader.row("session.created");
  }

  get object(): DurableObjectStub<Session> {
    return env.SESSION.getByName(`${this.account}/${this.id}`);
  }

  inside<T>(act: (state: DurableObjectState, session: Session) => T | Promise<T>): Promise<T> {
    return runInDurableObject(this.object, (session: Session, state) => act(state, session));
  }

  /** The whole log as it is on disk. */
  rows(): Promise<Row[]> {
    return this.inside((state) => new Log(state.storage.sql).range(1, Number.MAX_SAFE_INTEGER));
  }

  /**
   * Lets a held answer go on. The platform ties what happens next to the object in which the gate
   * opens, so that must be the session's own.
   */
  open(gate: Gate): Promise<void> {
    return this.inside(() => gate.open());
  }

  /** Kills the object in the middle of what it does; `last` is done by it as its last deed. */
  async crash(last: () => void = () => {}): Promise<void> {
    await this.inside((state) => {
      last();
      state.abort("crash");
    }).catch(() => {});
  }

  submit(
    command: Command,
    sent: Pick<Sent, "submission" | "key" | "detached" | "caller" | "key_budget"> = {},
  ): Promise<SubmitAnswer> {
    const submission: Submission = {
      v: 1,
      submission: sent.submission ?? ulid(),
      ...(sent.key ? { key: sent.key } : {}),
      ...(sent.detached ? { detached: true } : {}),
      ...(sent.caller === undefined ? {} : { caller: sent.caller }),
      ...(sent.key_budget ? { key_budget: sent.key_budget } : {}),
      command,
    };
    return this.stub.submit(submission);
  }

  trySend(content: string | ContentBlock[], sent: Sent = {}): Promise<SubmitAnswer> {
    const { on_busy = "queue", limits = LIMITS, replay = false, hash = ulid() } = sent;
    const options = optionsOf(sent);
    if (sent.system_prompt !== undefined) this.prompts.push(sent.system_prompt);
    const command = { on_busy, limits, replay, hash, options, content: asContent(content) };
    const job = sent.job ? { job: sent.job } : {};
    return this.submit({ kind: "input", ...command, ...job }, sent);
  }

  /** Posts a message that is accepted. */
  async send(content: string | ContentBlock[], sent: Sent = {}): Promise<Accepted> {
    return accepted(await this.trySend(content, sent));
  }

  /** Posts a job; the number is that of its input. */
  async job(content: string, sent: Sent = {}, webhook_url: string | null = null): Promise<number> {
    const { input } = await this.send(content, { ...sent, job: { webhook_url } });
    return input ?? 0;
  }

  /** A job as it is now. */
  async jobNow(input: number): Promise<JobRecord> {
    const job = await this.stub.job(input);
    if (!job || job === "unknown") throw new Error(`there is no job ${input}`);
    return job;
  }

  /** Posts a message and waits for the outcome that names it. */
  async turn(content: string | ContentBlock[], sent: Sent = {}): Promise<OutcomeBody> {
    return this.outcome(await this.send(content, sent));
  }

  tryResults(
    results: Record<string, string> | ToolResult[],
    sent: Sent = {},
  ): Promise<SubmitAnswer> {
    const { limits = LIMITS, hash = ulid() } = sent;
    const list = Array.isArray(results)
      ? results
      : Object.entries(results).map(([tool, text]) => ({
          tool,
          content: asContent(text),
          is_error: false,
        }));
    const options = optionsOf(sent);
    return this.submit({ kind: "results", results: list, options, limits, hash }, sent);
  }

  async results(
    results: Record<string, string> | ToolResult[],
    sent: Sent = {},
  ): Promise<Accepted> {
    return accepted(await this.tryResults(results, sent));
  }

  /** Answers questions that are waiting. */
  async confirm(confirmations: Confirmation[], sent: Sent = {}): Promise<Accepted> {
    const { limits = LIMITS, hash = ulid() } = sent;
    return accepted(
      await this.submit({ kind: "confirmations", confirmations, limits, hash }, sent),
    );
  }

  async interrupt(
    sent: { submission?: string; cancel_queued?: boolean; sent_at?: number } = {},
  ): Promise<Extract<SubmitAnswer, { ok: true }>> {
    const { cancel_queued = false, sent_at = clock.now() } = sent;
    const answer = await this.submit({ kind: "interrupt", cancel_queued, sent_at }, sent);
    if (!answer.ok) throw new Error(`refused: ${answer.refusal.code}`);
    return answer;
  }

  async switchModel(model: string): Promise<void> {
    await this.update({ model });
  }

  async update(config: ConfigChange): Promise<void> {
    if (config.system_prompt !== undefined) this.prompts.push(config.system_prompt);
    accepted(await this.submit({ kind: "update", config }));
  }

  /** The outcome that names a submission. */
  async outcome({ input }: Pick<Accepted, "input">): Promise<OutcomeBody> {
    if (input === null) throw new Error("no outcome ends this submission");
    const row = await this.reader.row("outcome", ({ body }) => body.inputs.includes(input));
    return row.body;
  }

  /** Ids of the tool calls that wait for the client. */
  async pending(): Promise<string[]> {
    return (await this.stub.describe())?.pending.map(({ id }) => id) ?? [];
  }
}

function optionsOf({
  tools = null,
  tool_choice = null,
  parallel_tool_calls = null,
  settings,
  model,
  own,
  cwd,
  system_prompt,
}: Sent): AskedOptions {
  return {
    toolset: tools,
    tool_choice,
    parallel_tool_calls,
    ...(settings ? { settings } : {}),
    ...(model ? { model } : {}),
    ...(own === undefined ? {} : { system: own }),
    ...(cwd === undefined ? {} : { cwd }),
    ...(system_prompt === undefined ? {} : { system_prompt }),
  };
}

export function accepted(answer: SubmitAnswer): Accepted {
  if (!answer.ok) throw new Error(`refused: ${answer.refusal.code} ${answer.refusal.message}`);
  return answer.accepted;
}

/** The code of the refusal; null when it was accepted. */
export const refusalOf = (answer: SubmitAnswer): RefusalCode | null =>
  answer.ok ? null : answer.refusal.code;

/** An answer that stops at a place until its gate is opened. */
export function held(
  at: At,
  blocks: ReplyBlock[],
  rest: Partial<MessageReply> = {},
): { reply: MessageReply; gate: Gate } {
  const gate = createGate();
  return { reply: { kind: "message", blocks, acts: [holdAt(at, gate)], ...rest }, gate };
}

/** Fires the session's alarm now; there must be one. */
export async function runAlarm(session: TestSession): Promise<void> {
  expect(await runDurableObjectAlarm(session.object), "an alarm is set").toBe(true);
}

/** Waits for the failure that announces another attempt, and lets the time of that come. */
export async function advanceToRetry(
  session: TestSession,
  clock: FakeClock,
  attempt = 2,
): Promise<void> {
  const row = await session.reader.row("failure", ({ body }) => body.retry?.attempt === attempt);
  clock.advance(Math.max(0, (row.body.retry?.at ?? 0) - clock.now));
  await runAlarm(session);
}

/** Resolves once a stream has come to the gate. */
export async function reached(gate: Gate): Promise<void> {
  await gate.waitUntilReached();
  await home();
}

export interface Sessions {
  readonly standin: Standin;
  /** The model requests of this test, in order of arrival. */
  readonly requests: readonly RecordedRequest[];
  create(setup?: NewSession): Promise<TestSession>;
  /** Resolves once so many requests have arrived in this test. */
  arrived(count: number): Promise<void>;
  /** The outcome of request `i`, once it has one. */
  settled(i: number): Promise<Outcome>;
  script(...replies: Scripted[]): void;
  /** Answers every request of this test, instead of a script. */
  answer(next: (request: RecordedRequest) => Scripted): void;
  /** Checks all laws now and begins anew, for a test of many runs. */
  check(): Promise<void>;
  /** The messages of request `i`. */
  messages(i: number): SentMessage[];
  /** The content of the newest user message in request `i`. */
  asked(i: number): JsonObject[];
}

export interface SentMessage {
  role: string;
  content: JsonObject[];
}

/**
 * Sessions with a scripted model. After each test every law is checked: of each session's log, of
 * all its requests, and that the script was used up and nothing unscripted was asked.
 */
export function useSessions(): Sessions {
  const standin = localStandin(0);
  const made: TestSession[] = [];
  const requests: RecordedRequest[] = [];
  let unscripted = 0;

  let answer: ((request: RecordedRequest) => Scripted) | null = null;
  const begin = (): void => {
    standin.reset();
    requests.length = 0;
    unscripted = 0;
    answer = null;
    standin.respond((request) => {
      requests.push(request);
      if (answer) return answer(request);
      if (standin.unusedReplies > 0) return undefined;
      unscripted += 1;
      return httpError(400, { message: "nothing is scripted" });
    });
  };
  let leave = (): void => {};
  beforeEach(() => {
    leave = beHome();
    begin();
  });

  const check = async (): Promise<void> => {
    try {
      await checkAll(made.splice(0));
    } finally {
      begin();
    }
  };
  const checkAll = async (sessions: TestSession[]): Promise<void> => {
    for (const session of sessions) {
      const rows = await checkLog(session);
      if (rows) checkRequests(rows, requestsOf(session, requests));
    }
    expect(unscripted, "requests without a scripted reply").toBe(0);
    expect(standin.unusedReplies, "replies that nobody asked for").toBe(0);
    expect(standin.unexpectedRefusals().map(({ outcome }) => outcome)).toEqual([]);
  };
  afterEach(async () => {
    try {
      await check();
    } finally {
      leave();
    }
  });

  const messages = (i: number): SentMessage[] => {
    const body = requests[i]?.body;
    if (typeof body !== "object" || body === null) throw new Error(`there is no request ${i}`);
    // The stand-in has checked its form.
    return (body as { messages: never }).messages;
  };

  return {
    standin,
    requests,
    messages,
    asked: (i) => messages(i).findLast(({ role }) => role === "user")?.content ?? [],
    async create(setup = {}) {
      const session = new TestSession(setup);
      await session.create();
      made.push(session);
      return session;
    },
    check,
    async arrived(count) {
      await standin.arrived(count);
      await home();
    },
    async settled(i) {
      const outcome = await standin.settled(i);
      await home();
      return outcome;
    },
    script: (...replies) => standin.script(...replies),
    answer(next) {
      answer = next;
    },
  };
}

/** Each session has a system prompt of its own. */
function requestsOf(session: TestSession, requests: readonly RecordedRequest[]) {
  return requests.filter(({ text: body }) =>
    session.prompts.some((prompt) =>
      prompt === null ? !body.includes('"system":[') : body.includes(`"text":${quoted(prompt)}`),
    ),
  );
}

/** As it begins in a request: what built-in tools need stands behind it. */
const quoted = (prompt: string): string => JSON.stringify(prompt).slice(0, -1);
