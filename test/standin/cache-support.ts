import { expect } from "vitest";
import { text } from "../../src/standin/replies.ts";
import type { Standin } from "../../src/standin/standin.ts";
import type { JsonObject } from "../../src/standin/wire.ts";
import { longText, post } from "./support.ts";

export const mark = (ttl = "5m"): JsonObject => ({ cache_control: { type: "ephemeral", ttl } });
export const block = (value: string, more: JsonObject = {}): JsonObject => ({
  type: "text",
  text: value,
  ...more,
});
export const says = (...content: JsonObject[]): JsonObject => ({ role: "user", content });

interface Bill {
  readonly read: number;
  readonly write5m: number;
  readonly write1h: number;
  readonly rest: number;
}

export async function bill(
  standin: Standin,
  body: JsonObject,
  headers: Readonly<Record<string, string>> = {},
): Promise<Bill> {
  standin.script(text("ok"));
  const answer = await post(standin, { model: "claude-opus-5", max_tokens: 100, ...body }, headers);
  expect(answer.message).toBe("");
  return billOf(answer.body);
}

export function billOf(message: JsonObject): Bill {
  const usage = JSON.parse(JSON.stringify(message.usage));
  expect(usage.cache_creation_input_tokens).toBe(
    usage.cache_creation.ephemeral_5m_input_tokens + usage.cache_creation.ephemeral_1h_input_tokens,
  );
  return {
    read: usage.cache_read_input_tokens,
    write5m: usage.cache_creation.ephemeral_5m_input_tokens,
    write1h: usage.cache_creation.ephemeral_1h_input_tokens,
    rest: usage.input_tokens,
  };
}

export const SYSTEM = longText(1_000);
export const MARKED = [block(SYSTEM, mark())];
export const total = ({ read, write5m, write1h, rest }: Bill) => read + write5m + write1h + rest;
