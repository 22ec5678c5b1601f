/** A model API that does what it likes, and what a session's client sees of it. */
import { afterEach, beforeEach, expect, type MockInstance, vi } from "vitest";
import { accountId } from "../../src/http/auth.ts";
import { DEFAULT_ACCOUNT } from "../../src/shared/config-readers.ts";
import type { OutcomeBody } from "../../src/shared/rows.ts";
import { type Scripted, text } from "../../src/standin/replies.ts";
import { get } from "../api/cc/server.ts";
import { FAR_FUTURE, FakeClock } from "../support/fake-clock.ts";
import {
  advanceToRetry,
  type NewSession,
  type Sent,
  type Sessions,
  type TestSession,
  useSessions,
} from "../support/sessions.ts";

/** Every secret holds this word, so that one look finds them all. */
const SECRET = "PLANTED";
export const API_KEY = `gw-${SECRET}-api-key-0123456789`;
const HEADERS = {
  "x-gateway-secret": `${SECRET}-header`,
  "set-cookie": `session=${SECRET}-cookie`,
  "www-authenticate": `Basic realm="${SECRET}-realm"`,
};

/** Changes the frames of a whole stream; each ends with its blank line. */
export type Mangle = (frames: string[]) => string[];

export interface Hostile extends Sessions {
  /** Null in tests that do not control the time. */
  readonly clock: FakeClock;
  /** The next streams are changed so, one after the other. */
  mangle(...changes: Mangle[]): void;
  /** Answers the next request itself: no stand-in, no rules. */
  instead(answer: (init: RequestInit) => Response | Promise<Response>): void;
}

/**
 * Sessions whose model calls leave with a key, as they do in production, to a stand-in whose
 * responses carry secrets of their own. After each test no client and no log line has seen one.
 */
export function useHostile(): Hostile {
  const sessions = useSessions();
  const made: TestSession[] = [];
  let clock: FakeClock;
  let changes: Mangle[] = [];
  let answers: ((init: RequestInit) => Response | Promise<Response>)[] = [];
  let log: MockInstance[] = [];

  const answer = async (init: RequestInit): Promise<Response> => {
    const own = answers.shift();
    if (own) return own(init);
    const response = await sessions.standin.fetch("https://api.anthropic.com/v1/messages", init);
    const headers = new Headers(response.headers);
    for (const [name, value] of Object.entries(HEADERS)) headers.set(name, value);
    const type = headers.get("content-type") ?? "";
    const change = type.startsWith("text/event-stream") ? changes.shift() : undefined;
    const body = change ? mangled(await response.text(), change) : response.body;
    return new Response(body, { status: response.status, headers });
  };

  beforeEach(() => {
    clock = new FakeClock(FAR_FUTURE);
    changes = [];
    answers = [];
    log = (["log", "info", "warn", "error", "debug"] as const).map((level) =>
      vi.spyOn(console, level).mockImplementation(() => {}),
    );
    vi.spyOn(globalThis, "fetch").mockImplementation(async (_, init = {}) => {
      expect(new Headers(init.headers).get("authorization")).toBe(`Bearer ${API_KEY}`);
      return answer(init);
    });
  });
  afterEach(async () => {
    try {
      for (const session of made.splice(0)) {
        expect(await everythingSeen(session), "what a client sees").not.toContain(SECRET);
      }
      const lines = log.flatMap(({ mock }) => mock.calls);
      expect(JSON.stringify(lines), "what the log says").not.toContain(SECRET);
      expect(changes, "changes that no stream had").toEqual([]);
      expect(answers, "answers that nobody asked for").toEqual([]);
    } finally {
      vi.restoreAllMocks();
      clock.restore();
    }
  });

  return {
    ...sessions,
    get requests() {
      return sessions.requests;
    },
    get clock() {
      return clock;
    },
    mangle: (...next) => void changes.push(...next),
    instead: (next) => void answers.push(next),
    async create(setup: NewSession = {}) {
      const account = await accountId(DEFAULT_ACCOUNT);
      const session = await sessions.create({ account, ...setup });
      await withUpstream(session, { ANTHROPIC_API_KEY: API_KEY });
      made.push(session);
      return session;
    },
  };
}

/** Sets variables of one object: the only way to have a key in some sessions of a test server. */
export async function withUpstream(
  session: TestSession,
  variables: Record<string, string>,
): Promise<void> {
  await session.inside((_, object) => {
    Reflect.set(object, "env", { ...Reflect.get(object, "env"), ...variables });
  });
}

function mangled(body: string, change: Mangle): string {
  const frames = body.split(/(?<=\n\n)/);
  return change(frames).join("");
}

/** The place of a session in the API. */
export const pathOf = (session: TestSession): string => `/api/sessions/sess_${session.id}`;

/** All that a client can be told of a session, over HTTP and as frames. */
async function everythingSeen(session: TestSession): Promise<string> {
  const path = pathOf(session);
  const routes = ["", "/events?limit=1000", "/turns?limit=100", "/queue"];
  const bodies = await Promise.all(routes.map(async (route) => (await get(path + route)).text()));
  const turns = session.reader.rows.filter(({ type }) => type === "input");
  const each = turns.map(async ({ seq }) => (await get(`${path}/turns/turn_${seq}`)).text());
  const frames = session.reader.frames.map(({ data }) => data);
  expect(bodies[1], "the events were read").toContain("session.created");
  return [
    ...bodies,
    ...(await Promise.all(each)),
    ...frames,
    JSON.stringify(session.reader.rows),
  ].join("\n");
}

/** A turn that fails at once; its code and message. */
export async function failing(
  session: TestSession,
  sent: Sent = {},
): Promise<OutcomeBody & { code: string; message: string }> {
  const outcome = await session.turn("hi", sent);
  expect(outcome).toMatchObject({ outcome: "failed", code: expect.any(String) });
  return { code: "", message: "", ...outcome };
}

/** Sends a message and lets the time of each further attempt come, up to attempt `last`. */
export async function tried(
  hostile: Hostile,
  session: TestSession,
  last: number,
  sent: Sent = {},
): Promise<OutcomeBody> {
  const accepted = await session.send("hi", sent);
  for (let attempt = 2; attempt <= last; attempt++) {
    await advanceToRetry(session, hostile.clock, attempt);
  }
  return session.outcome(accepted);
}

/** A normal turn of the same session; the laws of `useSessions` look at its request. */
export async function goesOn(hostile: Hostile, session: TestSession): Promise<void> {
  hostile.script(text("Still here."));
  expect(await session.turn("go on")).toMatchObject({ outcome: "completed" });
}

/** The codes of the failures so far, and whether each announced another attempt. */
export const failures = (session: TestSession) =>
  session.reader.rows.flatMap((row) =>
    row.type === "failure" ? [{ code: row.body.code, again: row.body.retry !== undefined }] : [],
  );

/** The replies of `count` attempts. */
export const times = (count: number, reply: Scripted): Scripted[] =>
  Array.from({ length: count }, () => reply);
