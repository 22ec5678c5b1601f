/** A key's rate limit, through HTTP. */
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import fc from "fast-check";
import { afterEach, beforeEach, expect, test } from "vitest";
import { accountId } from "../../../src/http/auth.ts";
import { text } from "../../../src/standin/replies.ts";
import { FAR_FUTURE, FakeClock } from "../../support/fake-clock.ts";
import { counted, newAccount, newKey } from "./keys-support.ts";
import {
  type Headers,
  newSession,
  post,
  send,
  serverWith,
  standin,
  withStandin,
} from "./server.ts";

withStandin();

let clock = new FakeClock();
clock.restore();
beforeEach(() => {
  clock = new FakeClock(FAR_FUTURE);
});
afterEach(() => clock.restore());

/** A session's path under a key. */
async function sessionOf(headers: Headers): Promise<string> {
  const response = await post("/api/sessions", {}, headers);
  return response.headers.get("location") ?? "";
}

const rate = ({ headers }: Response) =>
  ["limit", "remaining", "reset"].map((name) => headers.get(`x-ratelimit-${name}`));

test("headers count down on every response of a limited route, and the refusal says when", async () => {
  const account = newAccount();
  const { headers } = await newKey({ account, rate_limit: { requests: 3, window_seconds: 60 } });
  const session = await sessionOf(headers);
  standin.script(text("One."));
  const turn = () => post(`${session}/turns`, { input: "Hi" }, headers);
  const first = await turn();
  expect([first.status, ...rate(first)]).toEqual([200, "3", "2", "60"]);
  clock.advance(10_500);
  const wrong = await post(`${session}/turns`, { input: 7 }, headers);
  expect([wrong.status, ...rate(wrong)]).toEqual([422, "3", "1", "50"]);
  const missing = session.replace(/.{4}$/, "ZZZZ");
  const nowhere = await post(`${missing}/compact`, {}, headers);
  expect([nowhere.status, ...rate(nowhere)]).toEqual([404, "3", "0", "50"]);
  const refused = await turn();
  expect([refused.status, ...rate(refused)]).toEqual([429, "3", "0", "50"]);
  expect(refused.headers.get("retry-after")).toBe("50");
  expect(await refused.json()).toMatchObject({
    detail: expect.stringMatching(/^Rate limit exceeded/),
    error: { code: "rate_limit_exceeded" },
  });
  // Other routes go on, and say nothing of it.
  for (const path of ["", "/interrupt"]) {
    const method = path === "" ? "GET" : "POST";
    const other = await send(method, session + path, undefined, headers);
    expect([other.status, ...rate(other)]).toEqual([200, null, null, null]);
  }
  clock.advance(49_499);
  expect((await turn()).status).toBe(429);
  clock.advance(1);
  standin.script(text("Two."));
  expect((await turn()).status).toBe(200);
});

test("the tool results of a turn that was let in are let in", async () => {
  const { headers } = await newKey({
    account: newAccount(),
    rate_limit: { requests: 1, window_seconds: 60 },
  });
  const session = await sessionOf(headers);
  standin.script(text("One."));
  await post(`${session}/turns`, { input: "Hi" }, headers);
  const results = { results: [{ tool_call_id: "call_3_0", content: "x" }] };
  expect((await post(`${session}/tool-results`, results, headers)).status).toBe(422);
  expect((await post(`${session}/turns`, { input: "Hi" }, headers)).status).toBe(429);
});

test("a key without a limit asks nobody, and has no headers", async () => {
  const { bindings, calls } = counted();
  const server = serverWith(bindings);
  const session = await newSession();
  standin.script(text("One."));
  const answer = await server("POST", `${session}/turns`, { input: "Hi" });
  expect([answer.status, ...rate(answer)]).toEqual([200, null, null, null]);
  expect(calls).toEqual([]);
});

test("the configured limit holds for each key that has none of its own", async () => {
  const [ann, ben] = [newAccount(), newAccount()];
  const server = serverWith({
    API_KEYS: `${ann}:a1,${ann}:a2,${ben}:b1`,
    RATE_LIMIT_REQUESTS: "1",
    RATE_LIMIT_WINDOW: "10",
  });
  const missing = "/api/sessions/sess_01J0000000000000000000000A/turns";
  const ask = async (key: string) => {
    const answer = await server("POST", missing, { input: "Hi" }, { "x-api-key": key });
    return [answer.status, ...rate(answer)];
  };
  const own = await newKey({ account: ann, rate_limit: { requests: 2, window_seconds: 10 } });
  const none = await newKey({ account: ann });
  for (const key of ["a1", "a2", "b1", none.text]) {
    expect(await ask(key)).toEqual([404, "1", "0", "10"]);
    expect(await ask(key)).toEqual([429, "1", "0", "10"]);
  }
  expect(await ask(own.text)).toEqual([404, "2", "1", "10"]);
  clock.advance(10_000);
  expect(await ask("a1")).toEqual([404, "1", "0", "10"]);
  // Nothing of a configured key is kept.
  const stored = await runInDurableObject(
    env.ACCOUNT.getByName(await accountId(ben)),
    (_, { storage }) => storage.sql.exec("SELECT bucket FROM rate").toArray(),
  );
  expect(stored).toEqual([{ bucket: "configured:0" }]);
});

test("requests at the same time share one window, whatever crashes in between", async () => {
  const account = newAccount();
  const requests = 5;
  const { headers } = await newKey({ account, rate_limit: { requests, window_seconds: 1 } });
  const missing = "/api/sessions/sess_01J0000000000000000000000A/turns";
  const object = env.ACCOUNT.getByName(await accountId(account));
  const admitted: number[] = [];
  const step = fc.record({
    pause: fc.constantFrom(0, 1, 400, 999, 1000, 1001),
    burst: fc.integer({ min: 1, max: 4 }),
    crash: fc.boolean(),
  });
  const law = fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 6 }), async (steps) => {
    for (const { pause, burst, crash } of steps) {
      clock.advance(pause);
      if (crash)
        await runInDurableObject(object, (_, state) => state.abort("crash")).catch(() => {});
      const free = requests - admitted.filter((at) => at > clock.now - 1000).length;
      const answers = await Promise.all(
        Array.from({ length: burst }, () => post(missing, { input: "Hi" }, headers)),
      );
      const through = answers.filter(({ status }) => status !== 429).length;
      expect(through).toBe(Math.min(burst, free));
      for (let n = 0; n < through; n++) admitted.push(clock.now);
    }
  });
  await fc.assert(law, { numRuns: 15 });
  expect(admitted.length).toBeGreaterThan(20);
}, 20_000);
