import { describe, expect, it } from "vitest";
import { finalMessage } from "../../src/model/advice.ts";
import { classify, type Failure } from "../../src/model/retry.ts";

const CALL = { model: "claude-sonnet-5-5", at: Date.parse("2026-11-20T12:00:00Z") };

const http = (status: number, message = "because", headers = {}): Failure => ({
  kind: "http",
  status,
  type: "some_error",
  error_code: null,
  message,
  headers,
});

const told = (failure: Failure, attempts = 1) => finalMessage(classify(failure, CALL), attempts);

describe("the message of a failure that ends a turn", () => {
  it("says what happened, how often it was tried, and what to do", () => {
    expect(told(http(529), 8)).toBe(
      "The model API is overloaded. It was tried 8 times. Send the message again in a few minutes.",
    );
    expect(told({ kind: "cut" }, 4)).toBe(
      "The model's answer broke off before its end. It was tried 4 times. Send the message again later.",
    );
    expect(told(http(413))).toMatch(/\(32 MB\)\. What was new was left out .*\. Send fewer/);
    expect(told(http(400, "messages.0: bad"))).toBe(
      "The model API rejected the request: messages.0: bad. What was new was left out of the " +
        "conversation. Change it and send it again.",
    );
  });

  it("names a wait that the API asks for", () => {
    const wait = (seconds: number) => told(http(429, "slow", { "retry-after": `${seconds}` }), 2);
    expect(wait(60)).toMatch(/It was tried 2 times\. Send the message again in a few minutes\.$/);
    expect(wait(1_000)).toMatch(/It asks to wait 17 minutes: send the message again then\.$/);
    expect(wait(86_401)).toMatch(/It asks to wait more than a day: send the message again then\.$/);
  });

  it.each<[string, Failure]>([
    ...[300, 302, 400, 401, 402, 403, 404, 405, 413, 418, 429, 500, 529].map(
      (status): [string, Failure] => [`status ${status}`, http(status)],
    ),
    ["a page", { ...http(405), type: null, message: null } as Failure],
    ["an unknown model", http(404, "model: x")],
    ["a full window", http(400, "prompt is too long: 5 tokens > 4 maximum")],
    ["refused thinking", http(400, "Invalid `signature` in `thinking` block")],
    ["a refused change of tools", http(400, "tool_addition is not known")],
    ["no credit", http(400, "Your credit balance is too low")],
    ["a spend cap", { ...http(429), error_code: "enforced_spend_limit_reached" } as Failure],
    ["no network", { kind: "network" }],
    ["nothing sent", { kind: "unsent" }],
    ["a key out of reach", { kind: "own_key", owner: "account", why: "unreachable" }],
    ["a stall", { kind: "stall", ms: 90_000 }],
    ["a malformed stream", { kind: "malformed", detail: "no JSON" }],
  ])("has something to do for %s, as a sentence of its own", (_, failure) => {
    expect(told(failure, 8)).toMatch(
      /[.!?…] (Send|Check|Start|Switch|Change|Use|Add|Raise|Set)\b.*\.$/,
    );
  });

  it("says how to mend a key of one's own", () => {
    const locked = told({ kind: "own_key", owner: "session", why: "locked" });
    expect(locked).toMatch(/ENCRYPTION_KEYS_OLD, or set the key anew .*, or take it away\.$/);
    const refused = classify(http(401), { ...CALL, owner: "account" });
    expect(finalMessage(refused, 1)).toMatch(
      /PUT \/api\/account\/anthropic-key, or take it away\.$/,
    );
  });
});
