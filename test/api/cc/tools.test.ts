/** Tool definitions and their hashes. */
import fc from "fast-check";
import * as v from "valibot";
import { expect, test } from "vitest";
import { decodeTools, ToolList } from "../../../src/api/cc/tools.ts";

const decode = (tools: unknown[]) => decodeTools(v.parse(ToolList, tools), "tools");

test("both forms of a tool become one definition with one hash", async () => {
  const parameters = { type: "object", properties: { at: { type: "string" } } };
  const [openai, anthropic] = await Promise.all([
    decode([{ type: "function", function: { name: "look", description: "Looks.", parameters } }]),
    decode([{ name: "look", description: "Looks.", input_schema: parameters }]),
  ]);
  expect(openai).toEqual(anthropic);
  expect(openai.tools.look).toMatch(/^[0-9a-f]{16}$/);
  expect(openai.list).toEqual([{ name: "look", description: "Looks.", input_schema: parameters }]);
});

test("what says nothing is left out", async () => {
  const bare = await decode([{ name: "look" }]);
  const said = await decode([
    {
      type: "custom",
      name: "look",
      description: null,
      strict: false,
      eager_input_streaming: null,
      cache_control: { type: "ephemeral" },
    },
  ]);
  expect(said).toEqual(bare);
});

test("strict and eager_input_streaming are kept", async () => {
  const { list } = await decode([{ name: "look", strict: true, eager_input_streaming: true }]);
  expect(list).toMatchObject([{ strict: true, eager_input_streaming: true }]);
});

test("no tools are an empty set without a list", async () => {
  expect(await decode([])).toEqual({ tools: {} });
});

test("a definition's hash does not depend on the order of its members, only on their values", async () => {
  const properties = fc.dictionary(
    fc.stringMatching(/^[a-zA-Z0-9_.-]{1,12}$/),
    fc.record({ type: fc.constantFrom("string", "number"), description: fc.string() }),
  );
  await fc.assert(
    fc.asyncProperty(properties, fc.string({ minLength: 1 }), async (properties, extra) => {
      const reversed = Object.fromEntries(Object.entries(properties).reverse());
      const tool = (value: object) => [{ name: "a", input_schema: { type: "object", ...value } }];
      const [one, other, changed] = await Promise.all([
        decode(tool({ properties })),
        decode(tool({ properties: reversed })),
        decode(tool({ properties, description: extra })),
      ]);
      expect(other.tools).toEqual(one.tools);
      expect(changed.tools).not.toEqual(one.tools);
    }),
    { numRuns: 50 },
  );
});

test("a tool named like a member of every object is a tool", async () => {
  const { tools, list } = await decode([{ name: "constructor" }, { name: "toString" }]);
  expect(list?.map(({ name }) => name)).toEqual(["constructor", "toString"]);
  expect(Object.keys(tools)).toEqual(["constructor", "toString"]);
});
