/** A receiver of webhooks in the world outside, which is asked through the guard like any address. */
import { Webhook } from "standardwebhooks";
import { afterEach, beforeEach, expect } from "vitest";
import type { JsonObject } from "../../src/shared/content.ts";
import type { Gate } from "../../src/standin/gate.ts";
import { home } from "./home.ts";

/** A message that has arrived. */
export interface Received {
  url: string;
  headers: Headers;
  text: string;
  body: JsonObject;
}

/** A status, another answer, or none: the connection breaks, or hangs until it is aborted. */
type Answer = number | Response | "breaks" | "hangs" | Gate;

export const HOOK = "https://hooks.example.com/jobs";

export interface Receiver {
  readonly received: readonly Received[];
  /** What the next messages are answered; behind the last all are taken. */
  script(...answers: Answer[]): void;
  /** Resolves once so many messages have arrived. */
  arrived(count: number): Promise<void>;
}

/** All requests of this file that leave this server come to it. */
export function useReceiver(): Receiver {
  const received: Received[] = [];
  const waiting = new Set<{ count: number; resolve: () => void }>();
  const answers: Answer[] = [];
  const real = globalThis.fetch;
  beforeEach(() => {
    received.length = 0;
    answers.length = 0;
    globalThis.fetch = async (input, init) => {
      // A request leaves once what was written before it is on disk.
      await scheduler.wait(0);
      const text = new TextDecoder().decode(init?.body as Uint8Array);
      const headers = new Headers(init?.headers);
      received.push({ url: String(input), headers, text, body: JSON.parse(text) });
      for (const waiter of waiting) {
        if (received.length >= waiter.count) waiter.resolve();
      }
      return answered(answers.shift() ?? 200, init?.signal ?? null);
    };
  });
  afterEach(() => {
    globalThis.fetch = real;
    expect(answers, "answers that nobody asked for").toEqual([]);
  });
  return {
    received,
    script: (...more) => void answers.push(...more),
    async arrived(count) {
      if (received.length < count) {
        await new Promise<void>((resolve) => waiting.add({ count, resolve }));
      }
      await home();
    },
  };
}

async function answered(answer: Answer, signal: AbortSignal | null): Promise<Response> {
  if (typeof answer === "number") return new Response(null, { status: answer });
  if (answer instanceof Response) return answer;
  if (answer === "breaks") throw new TypeError("Network connection lost.");
  if (answer === "hangs") {
    return new Promise((_, reject) => {
      signal?.addEventListener("abort", () => reject(signal.reason));
    });
  }
  await answer.pass();
  return new Response(null, { status: 200 });
}

/** Which of these secrets a message is signed with, as a receiver finds it that knows them. */
export function signedWith(
  { text, headers }: Received,
  secrets: readonly string[],
): (string | undefined)[] {
  const id = headers.get("webhook-id") ?? "";
  const sent = new Date(Number(headers.get("webhook-timestamp")) * 1000);
  const signatures = headers.get("webhook-signature")?.split(" ") ?? [];
  return signatures.map((one) =>
    secrets.find((secret) => new Webhook(secret).sign(id, sent, text) === one),
  );
}
