/** How Anthropic keys of accounts and sessions are taken, kept, shown and forgotten. */
import { runInDurableObject } from "cloudflare:test";
import { expect, onTestFinished, test, vi } from "vitest";
import { Account } from "../../../src/account/account.ts";
import { type FaultPoint, onFaultPoint } from "../../../src/session/fault-points.ts";
import { text } from "../../../src/standin/replies.ts";
import {
  accountObject,
  clientOf,
  configure,
  ENCRYPTION,
  keysSent,
  NOBODY,
  newSessionOf,
  reconfigure,
  type Send,
  sessionObject,
  stored,
  withOwnKeys,
} from "./own-key-support.ts";
import { standin } from "./server.ts";

withOwnKeys("real");

const KEY = "sk-ant-api03-to-be-kept-wxyz";
const OTHER = "sk-ant-api03-another-one-CCCC";
const ACCOUNT_KEY = "/api/account/anthropic-key";

const json = async (response: Response) => ({
  status: response.status,
  body: await response.json<Record<string, unknown>>(),
});

const turn = (send: Send, session: string) =>
  send("POST", `${session}/turns`, { input: "Hi" }).then((response) => response.text());

test("the account shows that it has a key, since when, and its last four characters", async () => {
  const send = clientOf("shown");
  const none = await json(await send("GET", "/api/account"));
  expect(none).toEqual({
    status: 200,
    body: { id: expect.stringMatching(/^acct_/), object: "account", anthropic_key: null },
  });
  const put = await json(await send("PUT", ACCOUNT_KEY, { api_key: KEY }));
  const kept = { last_four: "wxyz", set_at: expect.stringMatching(/^20.*Z$/) };
  expect(put).toEqual({ status: 200, body: { ...none.body, anthropic_key: kept } });
  expect(await json(await send("GET", "/api/account"))).toEqual(put);
  await send("PUT", ACCOUNT_KEY, { api_key: "gateway-1" });
  const short = { last_four: null, set_at: kept.set_at };
  expect((await json(await send("GET", "/api/account"))).body.anthropic_key).toEqual(short);
  const deleted = await json(await send("DELETE", ACCOUNT_KEY));
  expect(deleted).toEqual(none);
  expect(await json(await send("DELETE", ACCOUNT_KEY))).toEqual(none);
  expect(await json(await send("GET", "/api/account"))).toEqual(none);
});

test("asking for a key makes no account", async () => {
  const send = clientOf("untouched");
  await send("GET", "/api/account");
  expect(await stored(await accountObject("untouched"))).toBe("");
});

test("the session says only that it has one", async () => {
  const send = clientOf("says");
  const plain = await newSessionOf(send);
  const own = await newSessionOf(send, { anthropic_api_key: KEY });
  const said = async (session: string) =>
    (await json(await send("GET", session))).body.own_anthropic_key;
  expect(await said(plain)).toBe(false);
  expect(await said(own)).toBe(true);
  const patched = await json(await send("PATCH", plain, { anthropic_api_key: KEY }));
  expect(patched).toMatchObject({ status: 200, body: { own_anthropic_key: true } });
  await send("PATCH", plain, { title: "Other things leave it alone" });
  expect(await said(plain)).toBe(true);
  await send("PATCH", plain, { anthropic_api_key: null });
  expect(await said(plain)).toBe(false);
  expect(await stored(await sessionObject("says", plain))).toContain("secret: []");
  const events = await (await send("GET", `${plain}/events`)).text();
  expect(events.match(/"own_anthropic_key":(true|false)/g)).toEqual([
    '"own_anthropic_key":true',
    '"own_anthropic_key":false',
  ]);
});

test("without ENCRYPTION_KEY a key is refused, and the answer says how to set that", async () => {
  const send = clientOf("unencrypted");
  const session = await newSessionOf(send);
  configure({ ENCRYPTION_KEY: null });
  const refusals = [
    await send("PUT", ACCOUNT_KEY, { api_key: KEY }),
    await send("POST", "/api/sessions", { anthropic_api_key: KEY }),
    await send("PATCH", session, { anthropic_api_key: KEY, title: "new" }),
  ];
  for (const response of refusals) {
    const { status, body } = await json(response);
    expect({ status, body }).toMatchObject({
      status: 409,
      body: { error: { code: "no_encryption_key" } },
    });
    expect(body.detail).toContain("openssl rand -base64 32");
    expect(JSON.stringify(body)).not.toContain("to-be-kept");
  }
  const { body } = await json(await send("GET", session));
  expect(body).toMatchObject({ own_anthropic_key: false, title: null });
  const { body: list } = await json(await send("GET", "/api/sessions"));
  expect(list.data).toHaveLength(1);
  expect((await send("PATCH", session, { anthropic_api_key: null })).status).toBe(200);
  expect((await send("DELETE", ACCOUNT_KEY)).status).toBe(200);
});

test.for(["short", "with a space", "with\nnewline", "ключ-которого-нет", "x".repeat(513), 7, ""])(
  "what cannot be a key is 422: %j",
  async (key) => {
    const send = clientOf("invalid");
    const session = await newSessionOf(send);
    const answers = [
      [await send("PUT", ACCOUNT_KEY, { api_key: key }), "body -> api_key"],
      [
        await send("POST", "/api/sessions", { anthropic_api_key: key }),
        "body -> anthropic_api_key",
      ],
      [await send("PATCH", session, { anthropic_api_key: key }), "body -> anthropic_api_key"],
    ] as const;
    for (const [response, field] of answers) {
      const { status, body } = await json(response);
      expect({ status, errors: body.errors }).toMatchObject({ status: 422, errors: [{ field }] });
      if (String(key).length > 4) expect(JSON.stringify(body)).not.toContain(String(key));
    }
  },
);

test("a repeated request does nothing twice, and its record does not help to find the key", async () => {
  const send = clientOf("idempotent");
  const body = { tools: [], anthropic_api_key: KEY };
  const once = { "idempotency-key": "k" };
  const first = await json(await send("POST", "/api/sessions", body, once));
  const again = await send("POST", "/api/sessions", body, once);
  expect(again.headers.get("idempotency-replayed")).toBe("true");
  expect(await json(again)).toEqual(first);
  const other = await send("POST", "/api/sessions", { ...body, anthropic_api_key: OTHER }, once);
  expect((await json(other)).body).toMatchObject({ error: { code: "idempotency_key_conflict" } });

  const session = `/api/sessions/${first.body.id}`;
  const change = { anthropic_api_key: OTHER };
  await send("PATCH", session, change, once);
  const repeated = await send("PATCH", session, change, once);
  expect(repeated.headers.get("idempotency-replayed")).toBe("true");
  const conflict = await send("PATCH", session, body, once);
  expect(conflict.status).toBe(422);
  const another = await send("PATCH", session, { anthropic_api_key: KEY }, once);
  expect((await json(another)).body).toMatchObject({ error: { code: "idempotency_key_conflict" } });
  standin.script(text("ok"));
  await turn(send, session);
  expect(keysSent()).toEqual([OTHER]);
  // Whoever has the record cannot try keys with it: it is no plain hash of the body.
  const guess = await crypto.subtle.digest(
    "SHA-256",
    new TextEncoder().encode(JSON.stringify(change)),
  );
  const kept = await stored(await sessionObject("idempotent", session));
  expect(kept).not.toContain(new Uint8Array(guess).toHex());
});

/** Ends an object at the first place of this kind that it comes to. */
function endAt(point: FaultPoint): void {
  let dead = false;
  onFaultPoint((object, reached) => {
    if (dead || reached !== point) return;
    dead = true;
    object.abort("Instance disposed by a test");
  });
  onTestFinished(() => onFaultPoint(null));
}

test.for(["commit", "committed", "answer", "report", "reported"] as const)(
  "a session is made with its key or not at all: the object dies at %s",
  async (point) => {
    const name = `dies-${point}`;
    const send = clientOf(name);
    endAt(point);
    const session = await newSessionOf(send, { anthropic_api_key: KEY });
    onFaultPoint(null);
    standin.script(text("ok"));
    await turn(send, session);
    expect(keysSent()).toEqual([KEY]);
    const kept = await stored(await sessionObject(name, session));
    expect(kept.match(/session\.created/g)).toHaveLength(1);
  },
);

test.for(["commit", "committed", "answer"] as const)(
  "a change of the key is whole or nothing: the object dies at %s",
  async (point) => {
    const name = `changes-${point}`;
    const send = clientOf(name);
    const session = await newSessionOf(send, { anthropic_api_key: KEY });
    endAt(point);
    const patched = await json(await send("PATCH", session, { anthropic_api_key: OTHER }));
    expect(patched).toMatchObject({ status: 200, body: { own_anthropic_key: true } });
    onFaultPoint(null);
    standin.script(text("ok"));
    await turn(send, session);
    expect(keysSent()).toEqual([OTHER]);
    const kept = await stored(await sessionObject(name, session));
    expect(kept.match(/"type":"session\.updated"/g)).toHaveLength(1);
  },
);

test("the account's key is kept once, also when its object dies over it and it is sent again", async () => {
  const send = clientOf("account-dies");
  await send("PUT", ACCOUNT_KEY, { api_key: OTHER });
  const object = await accountObject("account-dies");
  const { setOwnKey } = Account.prototype;
  let calls = 0;
  const spy = vi.spyOn(Account.prototype, "setOwnKey").mockImplementation(function (
    this: Account,
    kept,
  ) {
    calls += 1;
    const answer = setOwnKey.call(this, kept);
    if (calls === 1) dies();
    return answer;
  });
  onTestFinished(() => spy.mockRestore());
  const dies = await runInDurableObject(object, (_, state) => () => {
    state.abort("Instance disposed by a test");
  });
  expect((await send("PUT", ACCOUNT_KEY, { api_key: KEY })).status).toBe(200);
  expect(calls).toBe(2);
  const session = await newSessionOf(send);
  standin.script(text("ok"));
  await turn(send, session);
  expect(keysSent()).toEqual([KEY]);
  const both = await Promise.all(
    [1, 2].map(() => send("PUT", ACCOUNT_KEY, { api_key: KEY }).then(({ status }) => status)),
  );
  expect(both).toEqual([200, 200]);
});

test("a deleted session has no key any more, also while its account cannot be reached", async () => {
  const send = clientOf("deleted");
  const session = await newSessionOf(send, { anthropic_api_key: KEY });
  const object = await sessionObject("deleted", session);
  expect(await stored(object)).toContain('"sealed":"v1.');
  await reconfigure(object, { ACCOUNT: NOBODY });
  expect((await send("DELETE", session)).status).toBe(200);
  const left = await stored(object);
  expect(left).toContain("session.deleted");
  expect(left).not.toContain('"sealed":"v1.');
});

test("no key stands in clear in any table, event, page or line of the log", async () => {
  const lines: string[] = [];
  for (const level of ["log", "info", "warn", "error", "debug"] as const) {
    const spy = vi.spyOn(console, level).mockImplementation((...said) => {
      lines.push(said.map(String).join(" "));
    });
    onTestFinished(() => spy.mockRestore());
  }
  const send = clientOf("nowhere");
  await send("PUT", ACCOUNT_KEY, { api_key: OTHER });
  const session = await newSessionOf(send, { anthropic_api_key: KEY, title: "t" });
  standin.script(text("ok"));
  await turn(send, session);
  await reconfigure(await sessionObject("nowhere", session), {
    ENCRYPTION_KEY: ENCRYPTION.second,
  });
  expect(await turn(send, session)).toContain("own_key_locked");
  const kept =
    (await stored(await sessionObject("nowhere", session))) +
    (await stored(await accountObject("nowhere")));
  expect(kept).toContain('"sealed":"v1.');
  for (const text of [kept, ...lines]) {
    expect(text).not.toContain("to-be-kept");
    expect(text).not.toContain("another-one");
    for (const raw of Object.values(ENCRYPTION)) expect(text).not.toContain(raw);
  }
  expect(lines.length).toBeGreaterThan(0);
});
