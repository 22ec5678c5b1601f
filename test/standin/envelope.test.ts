import { describe, expect, it } from "vitest";
import { text } from "../../src/standin/replies.ts";
import type { Standin } from "../../src/standin/standin.ts";
import { createStandin } from "../../src/standin/standin.ts";
import type { JsonObject } from "../../src/standin/wire.ts";
import { baseRequest, clientOf, post, testClock, user } from "./support.ts";

const HEADERS = { "x-api-key": "k", "anthropic-version": "2026-10-21" };
const KEY = { authorization: "Bearer k", "anthropic-version": "2023-06-01" };

async function send(
  standin: Standin,
  options: {
    readonly path?: string;
    readonly method?: string;
    readonly headers?: Readonly<Record<string, string>>;
    readonly body?: string;
  } = {},
) {
  const method = options.method ?? "POST";
  const response = await standin.fetch(
    `https://api.anthropic.com${options.path ?? "/v1/messages"}`,
    {
      method,
      headers: options.headers ?? HEADERS,
      ...(method === "GET" ? {} : { body: options.body ?? JSON.stringify(baseRequest()) }),
    },
  );
  const body: JsonObject = await response.json();
  return { status: response.status, headers: response.headers, body };
}

function refusing(): Standin {
  const standin = createStandin();
  standin.expectRefusal();
  return standin;
}

describe("the error envelope", () => {
  it("carries the request id twice", async () => {
    const { status, headers, body } = await send(refusing(), { body: "{}" });
    expect(status).toBe(400);
    expect(headers.get("request-id")).toMatch(/^req_\w{24}$/);
    expect(body).toEqual({
      type: "error",
      error: { type: "invalid_request_error", message: "model: Field required" },
      request_id: headers.get("request-id"),
    });
  });

  it.each<[string, Parameters<typeof send>[1], number, string, RegExp]>([
    [
      "no key",
      { headers: { "anthropic-version": "2026-10-21" } },
      401,
      "authentication_error",
      /x-api-key/,
    ],
    [
      "an empty key",
      { headers: { ...HEADERS, "x-api-key": " " } },
      401,
      "authentication_error",
      /key/,
    ],
    [
      "no version",
      { headers: { "x-api-key": "k" } },
      400,
      "invalid_request_error",
      /anthropic-version: header is required/,
    ],
    [
      "an unknown version",
      { headers: { ...HEADERS, "anthropic-version": "2020-01-01" } },
      400,
      "invalid_request_error",
      /not a valid version/,
    ],
    [
      "a malformed beta",
      { headers: { ...HEADERS, "anthropic-beta": "compact" } },
      400,
      "invalid_request_error",
      /Unexpected value\(s\) `compact`/,
    ],
    ["an unknown path", { path: "/v1/complete" }, 404, "not_found_error", /Not found/],
    [
      "an unknown method",
      { path: "/v1/messages", method: "GET" },
      404,
      "not_found_error",
      /Not found/,
    ],
    ["no JSON", { body: "{oops" }, 400, "invalid_request_error", /not valid JSON/],
    ["an empty body", { body: "" }, 400, "invalid_request_error", /not valid JSON/],
    ["a list as body", { body: "[]" }, 400, "invalid_request_error", /valid dictionary/],
    [
      "a body above 32 MB",
      { body: "x".repeat(32 * 1024 * 1024 + 1) },
      413,
      "request_too_large",
      /maximum size/,
    ],
    [
      "32 MB in two-byte characters",
      { body: "é".repeat(16 * 1024 * 1024 + 1) },
      413,
      "request_too_large",
      /maximum size/,
    ],
  ])("answers %s", async (_, request, status, type, message) => {
    const standin = refusing();
    const answer = await send(standin, request);
    expect(answer.status).toBe(status);
    expect(answer.body.error).toMatchObject({ type, message: expect.stringMatching(message) });
    expect(standin.unexpectedRefusals()).toEqual([]);
  });

  it.each([
    ["x-api-key", HEADERS],
    ["bearer", KEY],
  ])("accepts a key as %s", async (_, headers) => {
    const standin = createStandin();
    standin.script(text("ok"));
    expect((await send(standin, { headers })).status).toBe(200);
  });

  it("accepts a Request object and ?beta=true", async () => {
    const standin = createStandin();
    standin.script(text("ok"));
    const request = new Request("https://api.anthropic.com/v1/messages?beta=true", {
      method: "POST",
      headers: HEADERS,
      body: JSON.stringify(baseRequest()),
    });
    expect((await standin.fetch(request)).status).toBe(200);
    expect(standin.requests[0]?.query).toBe("?beta=true");
  });
});

describe("half a surrogate pair anywhere makes the body no JSON", () => {
  it.each([
    ["a high half", String.raw`"\ud83d"`],
    ["a high half before text", String.raw`"\ud83d x"`],
    ["a low half", String.raw`"\ude00"`],
    ["two high halves", String.raw`"\ud83d\ud83d\ude00"`],
    ["a low half behind a pair", String.raw`"\ud83d\ude00\ude00"`],
  ])("%s", async (_, content) => {
    const body = JSON.stringify(baseRequest()).replace('"hello"', content);
    const { status, body: answer } = await send(refusing(), { body });
    expect(status).toBe(400);
    expect(JSON.stringify(answer)).toContain("no low surrogate in string");
  });

  it.each([
    ["a pair", String.raw`"\ud83d\ude00"`],
    ["a backslash before the letters", String.raw`"\\ud83d"`],
    ["an emoji as it is", `"😀"`],
  ])("%s is fine", async (_, content) => {
    const standin = createStandin();
    standin.script(text("ok"));
    const body = JSON.stringify(baseRequest()).replace('"hello"', content);
    expect((await send(standin, { body })).status).toBe(200);
  });

  it("as JSON.stringify writes it from a string cut in two", async () => {
    const answer = await post(refusing(), { ...baseRequest(), messages: [user("😀".slice(0, 1))] });
    expect(answer.message).toMatch(/no low surrogate/);
  });
});

describe("refusals", () => {
  it("are listed unless they were expected", async () => {
    const standin = createStandin();
    standin.expectRefusal(2);
    for (let i = 0; i < 3; i++) await send(standin, { body: "{}" });
    const [unexpected, ...others] = standin.unexpectedRefusals();
    expect(unexpected).toMatchObject({
      index: 2,
      outcome: { state: "refused", status: 400, message: "model: Field required" },
    });
    expect(others).toEqual([]);
  });
});

describe("count_tokens", () => {
  it("counts what a message is billed for", async () => {
    const standin = createStandin();
    const { max_tokens: _, ...params } = baseRequest();
    const counted = await post(standin, params, {}, "/v1/messages/count_tokens");
    standin.script(text("ok"));
    const answer = await post(standin, baseRequest());
    expect(answer.body.usage).toMatchObject({ input_tokens: counted.body.input_tokens });
  });

  it("takes no scripted reply, and refuses max_tokens", async () => {
    const standin = refusing();
    standin.script(text("ok"));
    const answer = await post(standin, baseRequest(), {}, "/v1/messages/count_tokens");
    expect(answer.message).toBe("max_tokens: Extra inputs are not permitted");
    expect(standin.unusedReplies).toBe(1);
  });

  it("counts an image by a fixed number, not by its bytes", async () => {
    const standin = createStandin();
    const source = (data: string) => ({ type: "base64", media_type: "application/pdf", data });
    const { max_tokens: _, ...params } = baseRequest();
    const count = async (data: string) => {
      const messages = [{ role: "user", content: [{ type: "document", source: source(data) }] }];
      const path = "/v1/messages/count_tokens";
      return (await post(standin, { ...params, messages }, {}, path)).body.input_tokens;
    };
    const small = await count(btoa("%PDF-1.4"));
    expect(await count(btoa(`%PDF-1.4${"x".repeat(30_000)}`))).toBe(small);
  });
});

describe("models", () => {
  const clock = testClock();

  it("are listed newest first, over pages", async () => {
    const client = clientOf(createStandin({ clock }));
    const ids: string[] = [];
    for await (const model of client.models.list({ limit: 4 })) ids.push(model.id);
    expect(ids[0]).toBe("claude-fable-5-2");
    expect(ids).toContain("claude-sonnet-4-5-20250929");
    expect(ids).not.toContain("claude-3-opus-20240229");
    expect(new Set(ids).size).toBe(ids.length);
  });

  it("page backwards", async () => {
    const client = clientOf(createStandin({ clock }));
    const first = await client.models.list({ limit: 6 });
    const last = first.data.at(-1)?.id ?? "";
    const before = await client.models.list({ limit: 2, before_id: last });
    expect(before.data.map(({ id }) => id)).toEqual(first.data.slice(3, 5).map(({ id }) => id));
    expect(before.has_more).toBe(true);
  });

  it("are filtered by lifecycle", async () => {
    const client = clientOf(createStandin({ clock }));
    const page = await client.models.list({ lifecycle: ["retired"], limit: 100 });
    expect(page.data.map(({ lifecycle }) => lifecycle)).toEqual(["retired", "retired"]);
  });

  it("are found by id and by alias, with limits and thinking types", async () => {
    const client = clientOf(createStandin({ clock }));
    expect(await client.models.retrieve("claude-haiku-4-5")).toMatchObject({
      id: "claude-haiku-4-5-20251001",
      line: "haiku",
      max_input_tokens: 200_000,
      max_tokens: 64_000,
      capabilities: {
        thinking: {
          types: { adaptive: { supported: false }, enabled: { supported: true } },
        },
      },
    });
    const standin = createStandin({ clock });
    standin.expectRefusal();
    await expect(clientOf(standin).models.retrieve("claude-nobody")).rejects.toMatchObject({
      status: 404,
    });
  });

  it("refuse a limit out of range and an unknown page", async () => {
    const standin = createStandin();
    standin.expectRefusal(2);
    const client = clientOf(standin);
    await expect(client.models.list({ limit: 0 })).rejects.toMatchObject({ status: 400 });
    await expect(client.models.list({ after_id: "x" })).rejects.toMatchObject({ status: 400 });
  });
});

describe("rate-limit headers", () => {
  it("fall with use and refill with time", async () => {
    const clock = testClock();
    const standin = createStandin({ clock });
    const remaining = async () => {
      standin.script(text("ok"));
      const { headers } = await send(standin);
      return Number(headers.get("anthropic-ratelimit-requests-remaining"));
    };
    expect(await remaining()).toBe(999);
    expect(await remaining()).toBe(998);
    clock.advance(60_000);
    expect(await remaining()).toBe(999);
  });

  it("report all four kinds", async () => {
    const standin = createStandin();
    standin.script(text("ok"));
    const { headers } = await send(standin);
    for (const kind of ["requests", "tokens", "input-tokens", "output-tokens"]) {
      for (const field of ["limit", "remaining", "reset"]) {
        expect(headers.get(`anthropic-ratelimit-${kind}-${field}`)).not.toBeNull();
      }
    }
  });
});
