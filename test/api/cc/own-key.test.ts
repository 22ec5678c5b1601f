/** Anthropic keys of accounts and sessions: who pays, and what happens when their key fails. */
import { runInDurableObject } from "cloudflare:test";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { Account } from "../../../src/account/account.ts";
import { Session } from "../../../src/session/session.ts";
import { compaction, httpError, text } from "../../../src/standin/replies.ts";
import {
  accountObject,
  advance,
  clientOf,
  ENCRYPTION,
  keysSent,
  NOBODY,
  newSessionOf,
  reconfigure,
  refused,
  type Send,
  sent,
  sessionObject,
  stored,
  withOwnKeys,
} from "./own-key-support.ts";
import { standin } from "./server.ts";

withOwnKeys("fake");

const ACCOUNTS = "sk-ant-api03-of-the-account-AAAA";
const SESSIONS = "sk-ant-api03-of-the-session-BBBB";
const OTHER = "sk-ant-api03-another-one-CCCC";
const MINUTE_MS = 60_000;

interface Turn {
  status: number;
  output_text?: string;
  code?: string;
  detail?: string;
}

async function turn(send: Send, session: string, input = "Hi"): Promise<Turn> {
  const response = await send("POST", `${session}/turns`, { input });
  return { ...(await response.json<Omit<Turn, "status">>()), status: response.status };
}

const putKey = (send: Send, api_key: string) =>
  send("PUT", "/api/account/anthropic-key", { api_key });

describe("who pays", () => {
  test("the session's own key, else the account's, else the server's", async () => {
    const send = clientOf("precedence");
    const session = await newSessionOf(send);
    standin.script(...Array.from({ length: 6 }, () => text("ok")));

    expect((await turn(send, session)).output_text).toBe("ok");
    expect(keysSent()).toEqual([]);

    expect((await putKey(send, ACCOUNTS)).status).toBe(200);
    advance(MINUTE_MS);
    await turn(send, session);
    expect(keysSent()).toEqual([ACCOUNTS]);

    await send("PATCH", session, { anthropic_api_key: SESSIONS });
    await turn(send, session);
    expect(keysSent()).toEqual([SESSIONS]);

    await send("PATCH", session, { anthropic_api_key: null });
    await turn(send, session);
    expect(keysSent()).toEqual([ACCOUNTS]);

    await putKey(send, OTHER);
    advance(MINUTE_MS);
    await turn(send, session);
    expect(keysSent()).toEqual([OTHER]);

    await send("DELETE", "/api/account/anthropic-key");
    advance(MINUTE_MS);
    await turn(send, session);
    expect(keysSent()).toEqual([]);
    expect(standin.requests).toHaveLength(6);
  });

  test("an own key goes to the real API, also where the stand-in answers all others", async () => {
    const send = clientOf("address");
    const session = await newSessionOf(send, { anthropic_api_key: SESSIONS });
    standin.script(text("ok"));
    await turn(send, session);
    expect(sent).toEqual([{ url: "https://api.anthropic.com/v1/messages", key: SESSIONS }]);
  });

  test("counts and compactions are made with it too", async () => {
    const send = clientOf("counts");
    const session = await newSessionOf(send, { anthropic_api_key: SESSIONS });
    standin.script(text("one"), compaction("All of it."));
    await turn(send, session);
    expect((await send("GET", `${session}/context?exact=true`)).status).toBe(200);
    const compacted = await send("POST", `${session}/compact`, {});
    expect(await compacted.json()).toMatchObject({ compacted: true });
    const paths = sent.map(({ url }) => new URL(url).pathname);
    expect(paths).toContain("/v1/messages/count_tokens");
    expect(paths.filter((path) => path === "/v1/messages")).toHaveLength(2);
    expect(new Set(keysSent())).toEqual(new Set([SESSIONS]));
  });

  test("a long configuration has its key apart", async () => {
    const send = clientOf("long");
    const parts: string[] = [];
    const real = Session.prototype.stage;
    const stage = vi.spyOn(Session.prototype, "stage").mockImplementation(function (
      this: Session,
      ...args
    ) {
      parts.push(args[2]);
      return real.apply(this, args);
    });
    onTestFinished(() => stage.mockRestore());
    const system_prompt = "x".repeat(1_500_000);
    const session = await newSessionOf(send, { system_prompt, anthropic_api_key: SESSIONS });
    standin.script(text("ok"));
    await turn(send, session);
    expect(keysSent()).toEqual([SESSIONS]);
    expect(parts.length).toBeGreaterThan(1);
    expect(parts.join("")).not.toContain("of-the-session");
  });
});

describe("the account is asked", () => {
  const counted = () => {
    const spy = vi.spyOn(Account.prototype, "anthropicKey");
    onTestFinished(() => spy.mockRestore());
    return () => spy.mock.calls.length;
  };

  test("once a minute, by sessions without a key of their own", async () => {
    const send = clientOf("hops");
    await putKey(send, ACCOUNTS);
    const asked = counted();
    const session = await newSessionOf(send);
    standin.script(...Array.from({ length: 6 }, () => text("ok")));
    for (let n = 0; n < 3; n++) await turn(send, session);
    expect(asked()).toBe(1);
    advance(MINUTE_MS - 1);
    await turn(send, session);
    expect(asked()).toBe(1);
    advance(1);
    await turn(send, session);
    expect(asked()).toBe(2);
    expect(keysSent()).toEqual(Array.from({ length: 5 }, () => ACCOUNTS));
    await send("PATCH", session, { anthropic_api_key: SESSIONS });
    advance(MINUTE_MS);
    await turn(send, session);
    expect(asked()).toBe(2);
  });

  test("never, where no ENCRYPTION_KEY is set", async () => {
    const send = clientOf("no-hops");
    const asked = counted();
    const session = await newSessionOf(send);
    await reconfigure(await sessionObject("no-hops", session), { ENCRYPTION_KEY: null });
    standin.script(text("ok"), text("ok"));
    await turn(send, session);
    advance(MINUTE_MS);
    await turn(send, session);
    expect(asked()).toBe(0);
  });

  test("again when it could not be reached, and nobody else pays meanwhile", async () => {
    const send = clientOf("unreachable");
    await putKey(send, ACCOUNTS);
    const session = await newSessionOf(send);
    const object = await sessionObject("unreachable", session);
    await reconfigure(object, { ACCOUNT: NOBODY });
    const posted = await send("POST", `${session}/turns`, { input: "Hi" }, { prefer: "wait=0" });
    expect(posted.status).toBe(202);
    const events = () => send("GET", `${session}/events?limit=1000`);
    const seen = await until(events, "turn.retrying");
    expect(seen).toContain('"code":"own_key_unavailable"');
    expect(standin.requests).toHaveLength(0);
    await reconfigure(object, {});
    standin.script(text("ok"));
    advance(MINUTE_MS);
    await runInDurableObject(object, (one: Session) => one.alarm());
    await until(events, "turn.completed");
    expect(keysSent()).toEqual([ACCOUNTS]);
  });
});

/** The body of an answer that has come to hold `mark`. */
async function until(ask: () => Promise<Response>, mark: string): Promise<string> {
  for (;;) {
    const body = await (await ask()).text();
    if (body.includes(mark)) return body;
  }
}

describe("a key that the API refuses", () => {
  test.for([
    ["session", SESSIONS],
    ["account", ACCOUNTS],
  ] as const)("is the %s's, and is not shown", async ([owner, key]) => {
    const send = clientOf(`refused-${owner}`);
    if (owner === "account") await putKey(send, key);
    const own = owner === "session" ? { anthropic_api_key: key } : {};
    const session = await newSessionOf(send, own);
    refused.add(key);
    const failed = await turn(send, session, "Hello?");
    expect(failed).toMatchObject({ status: 502, code: "own_key_refused" });
    expect(failed.detail).toContain(`the ${owner}'s own Anthropic key (401 unauthorized)`);
    const all = await (await send("GET", `${session}/events?limit=1000`)).text();
    expect(JSON.stringify(failed) + all).not.toContain(`of-the-${owner}`);
    expect(standin.requests).toHaveLength(0);

    // Mended, the same message is answered, and is not doubled.
    if (owner === "session") await send("PATCH", session, { anthropic_api_key: OTHER });
    else await putKey(send, OTHER);
    advance(MINUTE_MS);
    standin.script(text("Hello."));
    expect((await turn(send, session, "Hello?")).output_text).toBe("Hello.");
    expect(keysSent()).toEqual([key, OTHER]);
    expect(JSON.stringify(standin.requests[0]?.body).split("Hello?")).toHaveLength(2);
  });

  test("another failure is told as for everybody", async () => {
    const send = clientOf("other-failure");
    const session = await newSessionOf(send, { anthropic_api_key: SESSIONS });
    standin.script(httpError(403));
    expect(await turn(send, session)).toMatchObject({ code: "permission" });
  });
});

const ROTATED = { ENCRYPTION_KEY: ENCRYPTION.second, ENCRYPTION_KEYS_OLD: ENCRYPTION.first };

describe("a rotation", () => {
  test("keeps keys, which are sealed anew when they are next used", async () => {
    const send = clientOf("rotation");
    await putKey(send, ACCOUNTS);
    const own = await newSessionOf(send, { anthropic_api_key: SESSIONS });
    const plain = await newSessionOf(send);
    const objects = [await sessionObject("rotation", own), await accountObject("rotation")];
    const configureAll = async (variables: Record<string, string | null>) => {
      for (const object of [...objects, await sessionObject("rotation", plain)]) {
        await reconfigure(object, variables);
      }
      advance(MINUTE_MS);
    };
    const ids = () =>
      Promise.all(objects.map(async (one) => /"v1\.([0-9a-f]{8})\./.exec(await stored(one))?.[1]));
    const before = await ids();
    expect(before[0]).toBe(before[1]);

    await configureAll(ROTATED);
    standin.script(...Array.from({ length: 4 }, () => text("ok")));
    await turn(send, own);
    await turn(send, plain);
    expect(keysSent()).toEqual([SESSIONS, ACCOUNTS]);
    const after = await ids();
    expect(after[0]).toBe(after[1]);
    expect(after[0]).not.toBe(before[0]);

    await configureAll({ ENCRYPTION_KEY: ENCRYPTION.second });
    await turn(send, own);
    await turn(send, plain);
    expect(keysSent()).toEqual([SESSIONS, ACCOUNTS]);
  });

  test.for([
    ["session", { ENCRYPTION_KEY: ENCRYPTION.second }],
    ["account", { ENCRYPTION_KEY: ENCRYPTION.second }],
    ["session", { ENCRYPTION_KEY: null }],
  ] as const)(
    "without the old key nobody pays for the %s (%o)",
    async ([owner, changed], { task }) => {
      const name = `lost-${owner}-${task.id.replace(/\W/g, "")}`;
      const send = clientOf(name);
      const configureAll = async (variables: Record<string, string | null>) => {
        await reconfigure(await accountObject(name), variables);
        await reconfigure(await sessionObject(name, session), variables);
      };
      if (owner === "account") await putKey(send, ACCOUNTS);
      const session = await newSessionOf(
        send,
        owner === "session" ? { anthropic_api_key: SESSIONS } : {},
      );
      await configureAll(changed);
      const failed = await turn(send, session, "Hello?");
      expect(failed).toMatchObject({ status: 502, code: "own_key_locked" });
      expect(failed.detail).toContain("ENCRYPTION_KEYS_OLD");
      expect(sent).toEqual([]);
      expect(standin.requests).toHaveLength(0);

      await configureAll(ROTATED);
      standin.script(text("Hello."));
      expect((await turn(send, session, "Hello?")).output_text).toBe("Hello.");
      expect(keysSent()).toEqual([owner === "session" ? SESSIONS : ACCOUNTS]);
    },
  );

  test("a sealed key that is copied to another session does not open there", async () => {
    const send = clientOf("copied");
    const one = await newSessionOf(send, { anthropic_api_key: SESSIONS });
    const two = await newSessionOf(send, { anthropic_api_key: OTHER });
    const sealed = await runInDurableObject(
      await sessionObject("copied", one),
      (_, { storage: { sql } }) =>
        sql.exec<{ sealed: string }>("SELECT sealed FROM secret").one().sealed,
    );
    await runInDurableObject(await sessionObject("copied", two), (_, { storage: { sql } }) => {
      sql.exec("UPDATE secret SET sealed = ?", sealed);
    });
    expect(await turn(send, two)).toMatchObject({ code: "own_key_locked" });
    expect(sent).toEqual([]);
  });
});
