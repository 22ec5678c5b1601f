import * as v from "valibot";
import { expect, test } from "vitest";
import { ProblemError } from "../../src/http/problems.ts";
import { jsonObject, type Place, parse, queryInteger } from "../../src/http/validate.ts";

const Source = v.variant("type", [
  v.object({ type: v.literal("base64"), data: v.string() }),
  v.object({ type: v.literal("url"), url: v.string() }),
]);

const Block = v.variant("type", [
  v.object({ type: v.literal("text"), text: v.string() }),
  v.object({ type: v.literal("image"), source: Source }),
]);

const Chat = v.strictObject({
  message: v.pipe(v.string(), v.minLength(1), v.maxLength(5)),
  max_turns: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(100))),
  on_busy: v.optional(v.picklist(["queue", "steer"])),
  stream: v.optional(v.boolean()),
  input: v.optional(v.union([v.string(), v.array(Block)])),
  tools: v.optional(
    v.pipe(v.array(v.object({ name: v.string() })), v.minLength(1), v.maxLength(2)),
  ),
  metadata: v.optional(jsonObject),
  labels: v.optional(v.record(v.string(), v.string())),
  name: v.optional(v.pipe(v.string(), v.regex(/^[a-z]+$/))),
  even: v.optional(
    v.pipe(
      v.number(),
      v.check((n) => n % 2 === 0, "Input should be even"),
    ),
  ),
});

function errorsOf(schema: v.GenericSchema, value: unknown, place?: Place) {
  try {
    parse(schema, value, place);
  } catch (error) {
    if (error instanceof ProblemError) return error.problem;
    throw error;
  }
  return null;
}

const firstOf = (value: unknown) => errorsOf(Chat, value)?.errors?.[0];

test("a valid value comes back as the schema gives it", () => {
  expect(parse(Chat, { message: "hi", input: [{ type: "text", text: "x", more: 1 }] })).toEqual({
    message: "hi",
    input: [{ type: "text", text: "x" }],
  });
});

test.each<[unknown, string, string, string]>([
  [{}, "body -> message", "missing", "Field required"],
  [
    { message: "" },
    "body -> message",
    "string_too_short",
    "String should have at least 1 character(s)",
  ],
  [
    { message: "123456" },
    "body -> message",
    "string_too_long",
    "String should have at most 5 character(s)",
  ],
  [{ message: "a", x: 1 }, "body -> x", "extra_forbidden", "Extra inputs are not permitted"],
  [{ message: 3 }, "body -> message", "string_type", "Input should be a valid string"],
  [{ message: null }, "body -> message", "string_type", "Input should be a valid string"],
  [
    { message: "a", max_turns: 0 },
    "body -> max_turns",
    "greater_than_equal",
    "Input should be greater than or equal to 1",
  ],
  [
    { message: "a", max_turns: 101 },
    "body -> max_turns",
    "less_than_equal",
    "Input should be less than or equal to 100",
  ],
  [
    { message: "a", max_turns: 1.5 },
    "body -> max_turns",
    "int_type",
    "Input should be a valid integer",
  ],
  [
    { message: "a", max_turns: "1" },
    "body -> max_turns",
    "float_type",
    "Input should be a valid number",
  ],
  [
    { message: "a", on_busy: "wait" },
    "body -> on_busy",
    "literal_error",
    'Input should be "queue" or "steer"',
  ],
  [
    { message: "a", stream: "yes" },
    "body -> stream",
    "bool_type",
    "Input should be a valid boolean",
  ],
  [
    { message: "a", input: 5 },
    "body -> input",
    "union_type",
    "Input should be a valid string or a valid list",
  ],
  [
    { message: "a", input: [{ type: "text" }] },
    "body -> input -> 0 -> text",
    "missing",
    "Field required",
  ],
  [
    {
      message: "a",
      input: [
        { type: "text", text: "" },
        { type: "image", source: { type: "base64", data: 4 } },
      ],
    },
    "body -> input -> 1 -> source -> data",
    "string_type",
    "Input should be a valid string",
  ],
  [
    { message: "a", input: [{ type: "video" }] },
    "body -> input -> 0 -> type",
    "union_tag_invalid",
    'Input should be "text" or "image"',
  ],
  [{ message: "a", input: [{}] }, "body -> input -> 0 -> type", "missing", "Field required"],
  [
    { message: "a", input: ["x"] },
    "body -> input -> 0",
    "model_attributes_type",
    "Input should be a valid dictionary or object to extract fields from",
  ],
  [{ message: "a", tools: {} }, "body -> tools", "list_type", "Input should be a valid list"],
  [
    { message: "a", tools: [] },
    "body -> tools",
    "too_short",
    "List should have at least 1 item(s)",
  ],
  [
    { message: "a", tools: [{ name: "a" }, { name: "b" }, { name: "c" }] },
    "body -> tools",
    "too_long",
    "List should have at most 2 item(s)",
  ],
  [
    { message: "a", tools: [7] },
    "body -> tools -> 0",
    "model_attributes_type",
    "Input should be a valid dictionary or object to extract fields from",
  ],
  [
    { message: "a", metadata: [] },
    "body -> metadata",
    "value_error",
    "Input should be a valid dictionary",
  ],
  [
    { message: "a", labels: 3 },
    "body -> labels",
    "dict_type",
    "Input should be a valid dictionary",
  ],
  [
    { message: "a", name: "A" },
    "body -> name",
    "string_pattern_mismatch",
    "String should match pattern '^[a-z]+$'",
  ],
  [{ message: "a", even: 3 }, "body -> even", "value_error", "Input should be even"],
  [
    [],
    "body",
    "model_attributes_type",
    "Input should be a valid dictionary or object to extract fields from",
  ],
  [
    "text",
    "body",
    "model_attributes_type",
    "Input should be a valid dictionary or object to extract fields from",
  ],
  [
    null,
    "body",
    "model_attributes_type",
    "Input should be a valid dictionary or object to extract fields from",
  ],
])("%j is refused at %s as %s", (value, field, type, message) => {
  expect(firstOf(value)).toEqual({ field, type, message });
});

test("an array is not taken for an object all of whose fields are optional", () => {
  const schema = v.object({ limit: v.optional(v.number()) });
  expect(errorsOf(schema, [])?.errors?.[0]).toMatchObject({ type: "model_attributes_type" });
  expect(parse(schema, {})).toEqual({});
});

test("all wrong fields are named, with their number", () => {
  const problem = errorsOf(Chat, { x: 1, stream: 2, max_turns: 0 });
  expect(problem).toMatchObject({
    status: 422,
    code: "validation_error",
    detail: "4 validation error(s)",
  });
  expect(problem?.errors?.map((one) => one.field)).toEqual([
    "body -> message",
    "body -> max_turns",
    "body -> stream",
    "body -> x",
  ]);
});

test("queries are checked like bodies", () => {
  const schema = v.object({ page: v.optional(queryInteger(1, 100)) });
  expect(parse(schema, { page: "20" }, "query")).toEqual({ page: 20 });
  const typeOf = (page: string) => errorsOf(schema, { page }, "query")?.errors;
  const at = (type: string) => [{ field: "query -> page", type, message: expect.any(String) }];
  for (const page of ["abc", "", "-1", "1.5", "1e2", " 1"]) {
    expect(typeOf(page)).toEqual(at("int_parsing"));
  }
  expect(typeOf("0")).toEqual(at("greater_than_equal"));
  expect(typeOf("101")).toEqual(at("less_than_equal"));
});

test("no error repeats a value or a long name, and none is endless", () => {
  const secret = "sk-ant-secret";
  const problem = errorsOf(Chat, {
    message: secret.repeat(9),
    on_busy: secret,
    name: secret.toUpperCase(),
    input: [{ type: secret }, { type: "text", text: { secret } }],
    [`x${"y".repeat(100_000)}`]: 1,
  });
  const text = JSON.stringify(problem);
  expect(problem?.errors).toHaveLength(6);
  expect(text.toLowerCase()).not.toContain(secret);
  expect(text.length).toBeLessThan(2000);
  const many = errorsOf(
    v.array(v.string()),
    Array.from({ length: 5000 }, (_, i) => i),
  );
  expect(many?.errors).toHaveLength(100);
  expect(many?.detail).toBe("5000 validation error(s)");
});
