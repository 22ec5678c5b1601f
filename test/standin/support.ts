import Anthropic, { APIError } from "@anthropic-ai/sdk";
import type { Clock } from "../../src/shared/clock.ts";
import type { Standin } from "../../src/standin/standin.ts";
import type { JsonObject } from "../../src/standin/wire.ts";

export const MODEL = "claude-sonnet-5-5";

/** The real SDK, wired to a stand-in. */
export function clientOf(standin: Standin): Anthropic {
  return new Anthropic({ fetch: standin.fetch, apiKey: "test", maxRetries: 0, logLevel: "off" });
}

export interface TestClock extends Clock {
  /** Moves time and runs what comes due, in order. */
  advance(ms: number): void;
  /** Timers that have not run. */
  readonly pending: number;
  /** Resolves once a timer is armed. */
  armed(): Promise<void>;
}

export function testClock(start = Date.parse("2026-11-20T12:00:00Z")): TestClock {
  let now = start;
  let timers: { at: number; run: () => void }[] = [];
  let waiting: (() => void)[] = [];
  return {
    now: () => now,
    armed: () =>
      timers.length > 0 ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve)),
    get pending() {
      return timers.length;
    },
    after(ms, run) {
      const timer = { at: now + ms, run };
      timers.push(timer);
      for (const resolve of waiting) resolve();
      waiting = [];
      return () => {
        timers = timers.filter((other) => other !== timer);
      };
    },
    advance(ms) {
      const end = now + ms;
      for (;;) {
        const due = timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
        if (!due) break;
        timers = timers.filter((timer) => timer !== due);
        now = due.at;
        due.run();
      }
      now = end;
    },
  };
}

export interface Sent {
  readonly status: number;
  readonly type: string;
  readonly message: string;
  readonly code: string | undefined;
  readonly body: JsonObject;
}

/** Posts any body through the SDK; an error response is returned, not thrown. */
export async function post(
  standin: Standin,
  body: JsonObject,
  headers: Readonly<Record<string, string>> = {},
  path = "/v1/messages",
): Promise<Sent> {
  try {
    const answer = await clientOf(standin).post<JsonObject>(path, { body, headers });
    return { status: 200, type: "", message: "", code: undefined, body: answer };
  } catch (error) {
    if (!(error instanceof APIError) || error.status === undefined) throw error;
    // The envelope of the API, which the SDK keeps as it came.
    const envelope = error.error as {
      error: { type: string; message: string; details?: { error_code?: string } };
    };
    return {
      status: error.status,
      type: envelope.error.type,
      message: envelope.error.message,
      code: envelope.error.details?.error_code,
      body: {},
    };
  }
}

/** A valid request; each test changes one thing. */
export function baseRequest(): JsonObject {
  return {
    model: MODEL,
    max_tokens: 1_000,
    system: "Be brief.",
    tools: [weather()],
    messages: [user("hello")],
  };
}

/** A valid request behind one finished tool round. */
export function toolRequest(): JsonObject {
  return {
    ...baseRequest(),
    messages: [
      user("weather in Oslo and Rome?"),
      { role: "assistant", content: [call("toolu_1", "Oslo"), call("toolu_2", "Rome")] },
      { role: "user", content: [result("toolu_1"), result("toolu_2")] },
    ],
  };
}

export function user(text: string): JsonObject {
  return { role: "user", content: text };
}

export function assistant(text: string): JsonObject {
  return { role: "assistant", content: [{ type: "text", text, citations: null }] };
}

export function system(text: string): JsonObject {
  return { role: "system", content: text };
}

export function call(id: string, city: string): JsonObject {
  return { type: "tool_use", id, name: "get_weather", input: { city } };
}

export function result(id: string, content = "sunny"): JsonObject {
  return { type: "tool_result", tool_use_id: id, content };
}

export function weather(name = "get_weather"): JsonObject {
  return {
    name,
    description: "Weather of a city",
    input_schema: {
      type: "object",
      properties: { city: { type: "string" } },
      required: ["city"],
    },
  };
}

/** A whole PNG of one pixel. */
const PNG =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const PDF = btoa("%PDF-1.4\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF");

export function image(data = PNG, mediaType = "image/png"): JsonObject {
  return { type: "image", source: { type: "base64", media_type: mediaType, data } };
}

export function pdf(data = PDF): JsonObject {
  return {
    type: "document",
    source: { type: "base64", media_type: "application/pdf", data },
  };
}

/** About `tokens` tokens of text. */
export function longText(tokens: number, seed = "lorem"): string {
  return `${seed} `.repeat(Math.ceil((tokens * 4) / (seed.length + 1)));
}
