import type { Model } from "./models.ts";

/** A parsed JSON value. */
export type Json = string | number | boolean | null | Json[] | JsonObject;
export interface JsonObject {
  [key: string]: Json;
}

export type ApiVersion = "2023-06-01" | "2026-10-21";
export type Role = "user" | "assistant" | "system";

export interface Message {
  readonly role: Role;
  /** A string as content is held as one text block. */
  readonly content: JsonObject[];
}

/** A request that has passed every rule. */
export interface ApiRequest {
  readonly model: Model;
  readonly version: ApiVersion;
  readonly betas: ReadonlySet<string>;
  readonly body: JsonObject;
  readonly stream: boolean;
  readonly maxTokens: number;
  readonly system: JsonObject[];
  readonly tools: JsonObject[];
  readonly messages: Message[];
  /** The tools that are offered at the end of the transcript, by name. */
  readonly offered: ReadonlyMap<string, JsonObject>;
  readonly stopSequences: readonly string[];
}

/** Why a request is refused, before it becomes an error envelope. */
export interface Problem {
  readonly status: number;
  readonly type: string;
  readonly message: string;
  readonly details?: JsonObject;
}

/** A 400 `invalid_request_error`; `code` becomes `error.details.error_code`. */
export function invalid(message: string, code?: string): Problem {
  return {
    status: 400,
    type: "invalid_request_error",
    message,
    ...(code === undefined ? {} : { details: { error_code: code } }),
  };
}

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The string at `key`, or the empty string. */
export function stringAt(value: JsonObject, key: string): string {
  const found = value[key];
  return typeof found === "string" ? found : "";
}

/** The objects of the list at `key`; nothing where there is no list. */
export function objectsAt(value: JsonObject, key: string): JsonObject[] {
  const found = value[key];
  return Array.isArray(found) ? found.filter(isObject) : [];
}

export function isThinking(block: JsonObject): boolean {
  return block.type === "thinking" || block.type === "redacted_thinking";
}

/** Drops the oldest entries of a map above `max`: maps keep the order of insertion. */
export function trimMap(map: Map<unknown, unknown>, max: number): void {
  for (const oldest of map.keys()) {
    if (map.size <= max) return;
    map.delete(oldest);
  }
}
