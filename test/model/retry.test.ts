import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  CallFailed,
  type Classified,
  classify,
  type Failure,
  type RetryHeaders,
} from "../../src/model/retry.ts";

const NOW = Date.parse("2026-11-20T12:00:00Z");
const CALL = { model: "claude-sonnet-5-5", at: NOW };

type Http = Failure & { kind: "http" };

const http = (status: number, fields: Partial<Http> = {}): Http => ({
  kind: "http",
  status,
  type: "some_error",
  error_code: null,
  message: "because",
  headers: {},
  ...fields,
});

const invalid = (message: string): Http => http(400, { type: "invalid_request_error", message });

/** `kind code`, and `cut` where the appended content is to be left out. */
function verdict(failure: Failure, call = CALL): string {
  const classified = classify(failure, call);
  const cut = classified.kind === "final" && classified.content_rejected ? " cut" : "";
  return `${classified.kind} ${classified.code}${cut}`;
}

describe("classify", () => {
  it.each<[string, Failure, string]>([
    ["408", http(408), "retry upstream_error"],
    ["409", http(409), "retry upstream_error"],
    ["429", http(429), "retry rate_limited"],
    ["500", http(500), "retry upstream_error"],
    ["502", http(502), "retry upstream_error"],
    ["504", http(504), "retry upstream_error"],
    ["529", http(529), "retry overloaded"],
    ["500 that says overloaded", http(500, { type: "overloaded_error" }), "retry overloaded"],
    ["302", http(302), "final upstream_refused"],
    ["400", http(400), "final invalid_request cut"],
    ["401", http(401), "final authentication"],
    ["402", http(402), "final billing"],
    ["403", http(403), "final permission"],
    ["404", http(404), "final not_found cut"],
    ["413", http(413), "final too_large cut"],
    ["422", http(422), "final upstream_refused"],
    ["a cut stream", { kind: "cut" }, "retry stream_cut"],
    ["a stall", { kind: "stall", ms: 90_000 }, "retry stalled"],
    ["no connection", { kind: "network" }, "retry connection_failed"],
    ["a malformed stream", { kind: "malformed", detail: "text/html" }, "retry malformed_stream"],
    ["an unsendable request", { kind: "unsent" }, "final request_not_sent"],
    [
      "a key that cannot be decrypted",
      { kind: "own_key", owner: "session", why: "locked" },
      "final own_key_locked",
    ],
    [
      "a key that cannot be asked for",
      { kind: "own_key", owner: "account", why: "unreachable" },
      "retry own_key_unavailable",
    ],
  ])("%s", (_, failure, expected) => {
    expect(verdict(failure)).toBe(expected);
  });

  it("says whose key was refused, before the answer and inside it", () => {
    const type = "authentication_error";
    const refusals: Failure[] = [
      http(401),
      { kind: "stream_error", type, error_code: null, message: "no" },
    ];
    for (const failure of refusals) {
      for (const owner of ["session", "account"] as const) {
        const classified = classify(failure, { ...CALL, owner });
        expect(classified).toMatchObject({ kind: "final", code: "own_key_refused" });
        expect(classified.message).toContain(`the ${owner}'s own Anthropic key`);
      }
      expect(classify(failure, CALL).code).toBe("authentication");
    }
  });

  describe("errors inside a stream", () => {
    const inStream = (type: string | null) =>
      verdict({ kind: "stream_error", type, error_code: null, message: "because" });

    it("are retried", () => {
      expect(inStream("overloaded_error")).toBe("retry overloaded");
      expect(inStream("rate_limit_error")).toBe("retry rate_limited");
      expect(inStream("api_error")).toBe("retry upstream_error");
      expect(inStream("timeout_error")).toBe("retry upstream_error");
      expect(inStream(null)).toBe("retry upstream_error");
    });

    it("are final where another attempt cannot help, and cut nothing: the API had accepted", () => {
      expect(inStream("invalid_request_error")).toBe("final invalid_request");
      expect(inStream("authentication_error")).toBe("final authentication");
      expect(inStream("billing_error")).toBe("final billing");
      expect(inStream("permission_error")).toBe("final permission");
    });
  });

  describe("x-should-retry", () => {
    const with_ = (status: number, value: string, fields: Partial<Http> = {}) =>
      verdict(http(status, { headers: { "x-should-retry": value }, ...fields }));

    it("wins over the status", () => {
      expect(with_(529, "false")).toBe("final overloaded");
      expect(with_(429, "false")).toBe("final rate_limited");
      expect(with_(500, "false")).toBe("final upstream_error");
      expect(with_(400, "true")).toBe("retry upstream_error");
      expect(with_(413, "true")).toBe("retry upstream_error");
      expect(with_(500, "maybe")).toBe("retry upstream_error");
    });

    it("does not win over a spend cap", () => {
      const cap = { error_code: "enforced_spend_limit_reached" };
      expect(with_(429, "true", cap)).toBe("final spend_cap");
    });
  });

  it("takes a spend cap as final, and a ramp limit as a rate limit", () => {
    const limit = (error_code: string) => verdict(http(429, { error_code }));
    expect(limit("enforced_spend_limit_reached")).toBe("final spend_cap");
    expect(limit("contract_spend_limit_reached")).toBe("final spend_cap");
    expect(limit("ramp_limit_exceeded")).toBe("retry rate_limited");
  });

  describe("retry-after", () => {
    const wait = (headers: RetryHeaders) => {
      const classified = classify(http(429, { headers }), CALL);
      return classified.kind === "retry" ? classified.retryAfter : "final";
    };

    it("is read from its three forms, in milliseconds", () => {
      expect(wait({ "retry-after": "7" })).toBe(7_000);
      expect(wait({ "retry-after": " 0.5 " })).toBe(500);
      expect(wait({ "retry-after-ms": "250", "retry-after": "7" })).toBe(250);
      expect(wait({ "retry-after": "Fri, 20 Nov 2026 12:00:30 GMT" })).toBe(30_000);
    });

    it("is never negative, and absent when it says nothing", () => {
      expect(wait({ "retry-after": "Fri, 20 Nov 2026 11:00:00 GMT" })).toBe(0);
      expect(wait({ "retry-after-ms": "-5" })).toBe(0);
      expect(wait({ "retry-after": "soon" })).toBeUndefined();
      expect(wait({})).toBeUndefined();
    });
  });

  describe("the model", () => {
    const unknown = http(404, { type: "not_found_error", message: "model: claude-opus-9" });

    it("is named when the API does not have it, and nothing is cut", () => {
      expect(verdict(unknown)).toBe("final model_not_found");
      expect(classify(unknown, { model: "claude-opus-9", at: NOW }).message).toContain(
        "claude-opus-9",
      );
      expect(verdict(invalid("model: String should have at most 256 characters"))).toBe(
        "final model_not_found",
      );
    });

    it("is retired from its date on, and the successor is named", () => {
      const call = { model: "claude-sonnet-4-5", at: Date.parse("2026-11-30") };
      expect(verdict(unknown, call)).toBe("final model_retired");
      expect(classify(unknown, call).message).toContain("claude-sonnet-5-5");
      expect(verdict(unknown, { ...call, at: call.at - 1 })).toBe("final model_not_found");
      expect(verdict(http(401), call)).toBe("final authentication");
      expect(verdict(invalid("messages.0: bad"), call)).toBe("final invalid_request cut");
    });

    it("is not blamed for a wrong address", () => {
      const page = http(404, { type: null, message: null });
      expect(verdict(page)).toBe("final upstream_refused");
      expect(classify(page, CALL).message).toContain("ANTHROPIC_BASE_URL");
    });
  });

  it("cuts nothing from the context for a complaint about a setting", () => {
    expect(verdict(invalid("max_tokens: 200000 > 128000"))).toBe("final invalid_request");
    expect(verdict(invalid('"thinking.type.disabled" is not supported for this model.'))).toBe(
      "final invalid_request",
    );
    expect(verdict(invalid("messages.2.content.0.image: could not process image"))).toBe(
      "final invalid_request cut",
    );
  });

  it("knows a complaint about thinking that the API gave itself", () => {
    for (const said of [
      "messages.1.content.0: Invalid `signature` in `thinking` block",
      "`thinking` or `redacted_thinking` blocks in the latest assistant message cannot be modified.",
    ]) {
      expect(verdict(invalid(said))).toBe("final thinking_rejected cut");
    }
  });

  it("knows a complaint about appended changes of tools", () => {
    for (const said of [
      "messages.3.content.0.type: Input tag 'tool_addition' found does not match any of the expected tags",
      "messages.3.role: Input should be 'user' or 'assistant'",
      "Unexpected value(s) `inline-tools-2026-09-15` for the `anthropic-beta` header",
    ]) {
      expect(verdict(invalid(said))).toBe("final tool_change_rejected cut");
    }
  });

  it("knows an empty balance", () => {
    const failure = invalid("Your credit balance is too low to access the Anthropic API.");
    expect(verdict(failure)).toBe("final billing");
  });

  it("keeps the two numbers of an overflow, which clients read", () => {
    const overflow = "prompt is too long: 1000042 tokens > 1000000 maximum";
    const classified = classify(invalid(overflow), CALL);
    expect(classified.code).toBe("context_overflow");
    expect(classified.message).toContain(overflow);
    expect(verdict(invalid("Prompt is too long"))).toBe("final context_overflow cut");
  });

  it("says the upstream status of a final failure", () => {
    expect(classify(http(403), CALL)).toMatchObject({ upstream_status: 403 });
    expect(classify({ kind: "unsent" }, CALL)).not.toHaveProperty("upstream_status");
  });

  describe("messages", () => {
    const anyFailure: fc.Arbitrary<Failure> = fc.oneof(
      fc.record({
        kind: fc.constant("http" as const),
        status: fc.constantFrom(
          302,
          400,
          401,
          402,
          403,
          404,
          408,
          409,
          413,
          418,
          429,
          500,
          503,
          529,
        ),
        type: fc.constantFrom(null, "overloaded_error", "not_found_error", "invalid_request_error"),
        error_code: fc.constantFrom(null, "enforced_spend_limit_reached"),
        message: fc.constantFrom(
          null,
          "key sk-ant-api03-SECRETSECRET not found, unauthorized 404",
          "sent Authorization: Bearer SECRETSECRET to\n\nmodel",
          "long ".repeat(400),
        ),
        headers: fc.constantFrom({}, { "x-should-retry": "true" }, { "x-should-retry": "false" }),
      }),
      fc.record({
        kind: fc.constant("stream_error" as const),
        type: fc.constantFrom(null, "overloaded_error", "authentication_error"),
        error_code: fc.constantFrom(null, "contract_spend_limit_reached"),
        message: fc.constant("sk-ant-SECRETSECRET unauthorized"),
      }),
      fc.constantFrom<Failure>(
        { kind: "cut" },
        { kind: "network" },
        { kind: "unsent" },
        { kind: "stall", ms: 300_000 },
      ),
    );

    it("never hold a key, and are short sentences", () => {
      const law = fc.property(anyFailure, (failure) => {
        const { message, code } = classify(failure, CALL);
        expect(message).not.toContain("SECRET");
        expect(message.length).toBeGreaterThan(10);
        expect(message.length).toBeLessThan(700);
        expect(message).not.toMatch(/[\n\r]/);
        expect(code).toMatch(/^[a-z]+(_[a-z]+)*$/);
      });
      fc.assert(law);
    });

    it("of a retry hold no word that clients take for a final error", () => {
      const law = fc.property(anyFailure, (failure) => {
        const classified: Classified = classify(failure, CALL);
        fc.pre(classified.kind === "retry");
        expect(classified.message).not.toMatch(/not found|unauthorized|forbidden|\b40[134]\b/i);
      });
      fc.assert(law);
    });

    it("name a rate limit as such", () => {
      expect(classify(http(429), CALL).message).toContain("rate limit");
    });
  });
});

it("CallFailed carries the failure, and no more than its kind in the text", () => {
  const failure = http(401, { message: "sk-ant-SECRETSECRET" });
  const error = new CallFailed(failure);
  expect(error.failure).toBe(failure);
  expect(String(error)).toBe("CallFailed: model call failed: http");
});
