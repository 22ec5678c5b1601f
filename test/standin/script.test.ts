import { describe, expect, it } from "vitest";
import { createGate } from "../../src/standin/gate.ts";
import {
  frame,
  holdAt,
  htmlPage,
  httpError,
  raw,
  reply,
  spendCap,
  text,
  toolUse,
} from "../../src/standin/replies.ts";
import { createStandin } from "../../src/standin/standin.ts";
import { PARAMS, read, types } from "./stream-support.ts";
import { clientOf, MODEL, weather } from "./support.ts";

describe("errors by script", () => {
  it.each<[number, string]>([
    [400, "invalid_request_error"],
    [401, "authentication_error"],
    [413, "request_too_large"],
    [429, "rate_limit_error"],
    [500, "api_error"],
    [504, "timeout_error"],
    [529, "overloaded_error"],
  ])("%i is %s", async (status, type) => {
    const standin = createStandin();
    const { error } = await read(standin, httpError(status));
    expect(error).toMatchObject({ status, type, requestID: expect.stringMatching(/^req_/) });
    expect(standin.unexpectedRefusals()).toEqual([]);
  });

  it("carry the headers that steer retries", async () => {
    const { error } = await read(
      createStandin(),
      httpError(429, { retryAfter: 7, shouldRetry: false, headers: { "retry-after-ms": "7000" } }),
    );
    const headers = (error as { headers: Headers }).headers;
    expect(headers.get("retry-after")).toBe("7");
    expect(headers.get("retry-after-ms")).toBe("7000");
    expect(headers.get("x-should-retry")).toBe("false");
  });

  it("a spend cap has an error code and no retry-after", async () => {
    const { error } = await read(createStandin(), spendCap());
    expect(error).toMatchObject({
      status: 429,
      error: { error: { details: { error_code: "enforced_spend_limit_reached" } } },
    });
    expect((error as { headers: Headers }).headers.get("retry-after")).toBeNull();
  });

  it("a page instead of a stream, and bytes of any kind", async () => {
    const standin = createStandin();
    const page = await read(standin, htmlPage());
    expect(page.events).toEqual([]);
    const bytes = await read(standin, raw(frame("message_stop", { type: "message_stop" })));
    expect(types(bytes.events)).toEqual(["message_stop"]);
  });
});

describe("the script", () => {
  it("answers 500 and is noticed when nothing is scripted", async () => {
    const standin = createStandin();
    const sending = clientOf(standin).messages.create({
      ...PARAMS,
      messages: [...PARAMS.messages],
    });
    await expect(sending).rejects.toThrow("no reply is scripted for this request");
    expect(standin.unexpectedRefusals()).toHaveLength(1);
  });

  it("asks the handler first, and passes on to the queue", async () => {
    const standin = createStandin();
    standin.script(text("from the queue"));
    standin.respond((request) =>
      request.text.includes("weather") ? toolUse("get_weather", { city: "Oslo" }) : undefined,
    );
    const client = clientOf(standin);
    const ask = (content: string) =>
      client.messages.create({
        model: MODEL,
        max_tokens: 100,
        tools: [JSON.parse(JSON.stringify(weather("look_up")))],
        messages: [{ role: "user", content }],
      });
    expect((await ask("the weather?")).stop_reason).toBe("tool_use");
    expect((await ask("hello")).content).toMatchObject([{ text: "from the queue" }]);
  });

  it("records requests without keys, and forgets on reset", async () => {
    const standin = createStandin();
    await read(standin, text("x"));
    const [request] = standin.requests;
    expect(request).toMatchObject({ index: 0, method: "POST", path: "/v1/messages" });
    expect(JSON.stringify(request?.headers)).not.toContain("test");
    expect(request?.headers["anthropic-version"]).toBe("2026-10-21");
    expect(request?.outcome).toMatchObject({
      state: "answered",
      message: { content: [{ type: "text", text: "x" }] },
    });
    standin.reset();
    expect(standin.requests).toEqual([]);
  });

  it("tells when requests arrive", async () => {
    const standin = createStandin();
    const gate = createGate();
    const arrived = standin.arrived(1);
    const reading = read(standin, reply({ blocks: [text("x")], acts: [holdAt("request", gate)] }));
    await arrived;
    expect(standin.requests[0]?.outcome).toEqual({ state: "open" });
    gate.open();
    await reading;
  });
});
