/** Templates as YAML: what it says is taken, and what it could do is not. */
import { describe, expect, test } from "vitest";
import type { JsonObject } from "../../../src/shared/content.ts";
import { send, serverWith, withStandin } from "./server.ts";
import { client, shown, YAML } from "./templates-support.ts";

withStandin();

test.each(["application/yaml", "text/yaml; charset=utf-8", "application/x-yaml", "TEXT/X-YAML"])(
  "one is kept from YAML sent as %s",
  async (type) => {
    const { ask } = await client();
    const body = `
# A comment
system_prompt: |
  You are brief.

  Say "yes" or 'no': nothing else.
max_turns: 3
effort: !!str low
allowed_tools: "Read,Bash(git *)"
model: ~
`;
    const response = await ask("PUT", "/mine", body, { "content-type": type });
    expect(await response.json()).toEqual(
      shown("mine", {
        system_prompt: "You are brief.\n\nSay \"yes\" or 'no': nothing else.\n",
        max_turns: 3,
        effort: "low",
        allowed_tools: "Read,Bash(git *)",
      }),
    );
  },
);

describe("YAML that is more than data is refused, and changes nothing:", () => {
  const levels = (n: number) => "[".repeat(n) + "]".repeat(n);
  test.each<[what: string, body: string, field: string, type: string]>([
    ["an alias", "a: &x {effort: low}\nb: *x\n", "body", "yaml_invalid"],
    [
      "aliases of aliases",
      `a: &a [x,x,x,x,x,x,x,x,x]\n${[..."bcdefghi"].map((one, i) => `${one}: &${one} [${Array(9).fill(`*${"abcdefgh"[i]}`).join(",")}]`).join("\n")}\n`,
      "body",
      "yaml_invalid",
    ],
    ["an alias that means nothing", "a: *x\n", "body", "yaml_invalid"],
    ["a merge", "a: &x {effort: low}\nb:\n  <<: *x\n", "body", "yaml_invalid"],
    ["a tag of one's own", "a:\n  effort: !evil low\n", "body -> line 2", "yaml_invalid"],
    ["bytes", "a:\n  effort: !!binary bG93\n", "body -> line 2", "yaml_invalid"],
    ["a name twice", "a: {}\nb: {}\na: {}\n", "body -> line 3", "yaml_invalid"],
    ["a field twice", "a:\n  effort: low\n  effort: high\n", "body -> line 3", "yaml_invalid"],
    ["two documents", "a: {}\n---\nb: {}\n", "body -> line 2", "yaml_invalid"],
    ["a wrong indent", "a:\n  effort: low\n model: x\n", "body -> line 3", "yaml_invalid"],
    ["a tab", "a:\n\teffort: low\n", "body -> line 2", "yaml_invalid"],
    ["no end", "a: {effort: low\n", "body -> line 2", "yaml_invalid"],
    ["many levels", `a: ${levels(9_000)}`, "body -> line 1", "yaml_invalid"],
    ["many marks", `a: [${"x,".repeat(10_001)}]`, "body", "yaml_too_many"],
    ["many levels and marks", `a: ${levels(900_000)}`, "body", "yaml_too_many"],
    ["nothing", "# only this\n", "body", "value_error"],
    ["a list", "- a\n- b\n", "body", "value_error"],
    ["a list for a template", "a: []\n", "body -> a", "dict_type"],
    ["a text for a template", "a: b\n", "body -> a", "dict_type"],
    [
      "a number for a text",
      "a:\n  system_prompt: 7\n",
      "body -> a -> system_prompt",
      "string_type",
    ],
    ["no number", "a:\n  max_turns: .nan\n", "body -> a -> max_turns", "float_type"],
    ["a time", "a:\n  max_turns: 2026-01-01\n", "body -> a -> max_turns", "float_type"],
  ])("%s", async (_, body, field, type) => {
    const { ask, own } = await client();
    await ask("PUT", "/kept", {});
    const response = await ask("POST", "/import", body, YAML);
    expect([response.status, (await response.json<JsonObject>()).errors]).toEqual([
      422,
      [{ field, type, message: expect.any(String) }],
    ]);
    expect(await own()).toEqual([shown("kept", {})]);
  });

  test("bytes that are no UTF-8, and more of them than there may be", async () => {
    const { headers } = await client();
    const post = (body: Uint8Array, server = send) =>
      server("POST", "/api/templates/import", new Blob([body.slice()]).stream(), {
        ...headers,
        ...YAML,
      });
    expect(await (await post(new Uint8Array([0x61, 0xff]))).json()).toMatchObject({
      errors: [{ type: "string_unicode" }],
    });
    const large = (n: number) => new TextEncoder().encode(`a: {}\n#${" ".repeat(n)}`);
    expect((await post(large(4_000_000))).status).toBe(200);
    expect((await post(large(4_200_000))).status).toBe(413);
    const small = serverWith({ MAX_BODY_MB: "1" });
    expect((await post(large(1_100_000), small)).status).toBe(413);
  });

  test("a lone half of a character is replaced, as in JSON", async () => {
    const { ask, own } = await client();
    await ask("PUT", "/mine", 'system_prompt: "a\\uD800b"', YAML);
    expect(await own()).toEqual([shown("mine", { system_prompt: "a\uFFFDb" })]);
  });
});
