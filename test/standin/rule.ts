import { describe, expect, it } from "vitest";
import { text } from "../../src/standin/replies.ts";
import { createStandin } from "../../src/standin/standin.ts";
import type { JsonObject } from "../../src/standin/wire.ts";
import { baseRequest, call, post, testClock, user } from "./support.ts";

export interface Rule {
  /** The one thing that is wrong. */
  readonly rule: string;
  readonly base: () => JsonObject;
  readonly broken: (valid: JsonObject) => JsonObject;
  readonly message: RegExp;
  readonly status?: number;
  readonly type?: string;
  readonly code?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export const CHANGES = "mid-conversation-tool-changes-2026-07-01";
export const INLINE = `${CHANGES},inline-tools-2026-09-15`;

/** A base request of which one field is replaced. */
export const set =
  (field: string, value: JsonObject[string]) =>
  (valid: JsonObject): JsonObject => ({ ...valid, [field]: value });

export const without =
  (field: string) =>
  (valid: JsonObject): JsonObject => {
    const { [field]: _, ...rest } = valid;
    return rest;
  };

export const says = (...content: JsonObject[]) => set("messages", [{ role: "user", content }]);
export const on =
  (model: string, more: JsonObject = {}) =>
  () => ({ ...baseRequest(), model, ...more });
export const textBlock = (value: string, more: JsonObject = {}) => ({
  type: "text",
  text: value,
  ...more,
});
export const marked = (ttl?: string) => ({
  cache_control: { type: "ephemeral", ...(ttl ? { ttl } : {}) },
});
export const withBlock = (block: JsonObject) => () => says(block)(baseRequest());
export const withResult =
  (...content: JsonObject[]) =>
  (valid: JsonObject) => ({
    ...valid,
    messages: [...toolMessages(), { role: "user", content }],
  });
export const toolMessages = (): JsonObject[] => [
  user("weather?"),
  { role: "assistant", content: [call("toolu_1", "Oslo"), call("toolu_2", "Rome")] },
];
export const afterCall = (...messages: JsonObject[]) =>
  set("messages", [...toolMessages(), ...messages]);
export const change = (type: string, tool: JsonObject) => ({
  role: "system",
  content: [{ type, tool }],
});
export const ref = (name: string) => ({ type: "tool_reference", name });
export const define = (definition: JsonObject) => ({ type: "tool_definition", definition });
export const strictTool = (name: string, properties: JsonObject, required: string[] = []) => ({
  name,
  strict: true,
  input_schema: { type: "object", properties, required, additionalProperties: false },
});
export const manyProperties = (count: number, schema: JsonObject): JsonObject =>
  Object.fromEntries(
    Array.from({ length: count }, (_, i): [string, JsonObject] => [`p${i}`, schema]),
  );
export const search = {
  type: "web_search_20260318",
  name: "web_search",
  allowed_domains: ["example.com"],
};
export const searchCall = {
  type: "server_tool_use",
  id: "srvtoolu_1",
  name: "web_search",
  input: { query: "x" },
};
export const searchResult = {
  type: "web_search_tool_result",
  tool_use_id: "srvtoolu_1",
  content: [],
};
export const searched =
  (...content: JsonObject[]) =>
  () => ({
    ...baseRequest(),
    messages: [user("search"), { role: "assistant", content }, user("thanks")],
  });

/** For each rule: the base is accepted, and the base with its one fault is refused. */
export function describeRules(subject: string, rules: readonly Rule[]): void {
  describe(`${subject}: each rule refuses the request that breaks only it`, () => {
    it.each(rules)("$rule", async ({ base, broken, message, status, type, code, headers }) => {
      const standin = createStandin({ clock: testClock() });
      standin.script(text("accepted"));
      const accepted = await post(standin, base(), headers);
      expect(accepted.message).toBe("");
      expect(accepted.status).toBe(200);

      standin.expectRefusal();
      standin.script(text("must not be taken"));
      const refused = await post(standin, broken(base()), headers);
      expect(refused.message).toMatch(message);
      expect(refused.status).toBe(status ?? 400);
      expect(refused.type).toBe(type ?? "invalid_request_error");
      if (code !== undefined) expect(refused.code).toBe(code);
      expect(standin.unusedReplies).toBe(1);
      expect(standin.unexpectedRefusals()).toEqual([]);
    });
  });
}
