import * as v from "valibot";
import type { JsonObject } from "../shared/content.ts";
import { type FieldError, invalid, ProblemError } from "./problems.ts";

/** Where a value comes from: the first part of its fields' names. */
export type Place = "body" | "query" | "path" | "header";

type Issue = v.BaseIssue<unknown>;

/** Names come from the client: an error does not repeat a long one. */
const MAX_NAME = 100;

/** A JSON object: unlike `v.record` it refuses arrays, and it does not copy. */
export const jsonObject = v.custom<JsonObject>(
  (value) => typeof value === "object" && value !== null && !Array.isArray(value),
  "Input should be a valid dictionary",
);

/** A whole number in a query, such as `limit`. */
export const queryInteger = (min: number, max: number) =>
  v.pipe(v.string(), v.digits(), v.toNumber(), v.minValue(min), v.maxValue(max));

/**
 * `value` as `schema` gives it. A message that a schema sets itself goes to the client; without
 * one, the words come from the rule and never from the value.
 *
 * @example
 * const { limit } = parse(v.object({ limit: v.optional(queryInteger(1, 100)) }), c.req.query(), "query");
 *
 * @throws ProblemError 422 that names every wrong field
 */
export function parse<S extends v.GenericSchema>(
  schema: S,
  value: unknown,
  place: Place = "body",
): v.InferOutput<S> {
  // Valibot takes an array for an object; with optional fields only it would even accept it.
  if (Array.isArray(value) && OBJECTS.has(schema.type)) {
    throw new ProblemError(invalid([{ field: place, ...OBJECT_ERROR }]));
  }
  const result = v.safeParse(schema, value, { message: (issue) => rule(issue).message });
  if (result.success) return result.output;
  const errors = result.issues.flatMap((issue) => fieldErrors(issue, [place]));
  throw new ProblemError(invalid([...errors, ...otherUnknown(schema, result.issues, place)]));
}

/** Of several fields that a strict object does not have, valibot names the first and no more. */
function otherUnknown(
  schema: v.GenericSchema,
  issues: readonly Issue[],
  place: Place,
): FieldError[] {
  const named = issues.find(({ type, expected, path }) => {
    return type === "strict_object" && expected === "never" && path?.length === 1;
  })?.path?.[0];
  if (!named || !("entries" in schema)) return [];
  const known = Object(schema.entries);
  return Object.keys(Object(named.input))
    .filter((key) => key !== named.key && !Object.hasOwn(known, key))
    .map((key) => ({ field: `${place} -> ${key.slice(0, MAX_NAME)}`, ...EXTRA }));
}

function fieldErrors(issue: Issue, parents: readonly string[]): FieldError[] {
  const names = issue.path?.map((item) => String(item.key).slice(0, MAX_NAME)) ?? [];
  const path = [...parents, ...names];
  // Where a member of the union fits from the outside, what is wrong inside it says most.
  const inner = issue.type === "union" ? issue.issues?.filter((one) => one.path) : undefined;
  if (inner && inner.length > 0) return inner.flatMap((one) => fieldErrors(one, path));
  return [{ field: path.join(" -> "), message: issue.message, type: rule(issue).type }];
}

const OBJECTS = new Set(["object", "strict_object", "loose_object", "object_with_rest"]);

/** The error of a body that is no object. */
export const OBJECT_ERROR = {
  type: "model_attributes_type",
  message: "Input should be a valid dictionary or object to extract fields from",
};

/** Types and words in the manner of claude-code-api, whose clients know them. */
function rule(issue: Issue): { type: string; message: string } {
  const list = Array.isArray(issue.input);
  switch (issue.type) {
    case "object":
    case "strict_object":
    case "loose_object":
    case "object_with_rest":
      if (issue.expected === "never") {
        return EXTRA;
      }
      return issue.path && issue.input === undefined ? MISSING : OBJECT_ERROR;
    case "variant":
      if (issue.input === undefined) return MISSING;
      if (issue.expected === "Object") return OBJECT_ERROR;
      return { type: "union_tag_invalid", message: `Input should be ${choices(issue)}` };
    case "union":
      return { type: "union_type", message: unionMessage(issue) };
    case "string":
      return { type: "string_type", message: "Input should be a valid string" };
    case "number":
      return { type: "float_type", message: "Input should be a valid number" };
    case "integer":
    case "safe_integer":
      return { type: "int_type", message: "Input should be a valid integer" };
    case "digits":
      return { type: "int_parsing", message: "Input should be a valid integer" };
    case "boolean":
      return { type: "bool_type", message: "Input should be a valid boolean" };
    case "array":
      return { type: "list_type", message: "Input should be a valid list" };
    case "record":
      return { type: "dict_type", message: "Input should be a valid dictionary" };
    case "literal":
    case "picklist":
      return { type: "literal_error", message: `Input should be ${choices(issue)}` };
    case "min_length":
      return list
        ? { type: "too_short", message: `List should have at least ${issue.requirement} item(s)` }
        : {
            type: "string_too_short",
            message: `String should have at least ${issue.requirement} character(s)`,
          };
    case "max_length":
      return list
        ? { type: "too_long", message: `List should have at most ${issue.requirement} item(s)` }
        : {
            type: "string_too_long",
            message: `String should have at most ${issue.requirement} character(s)`,
          };
    case "min_value":
      return {
        type: "greater_than_equal",
        message: `Input should be greater than or equal to ${issue.requirement}`,
      };
    case "max_value":
      return {
        type: "less_than_equal",
        message: `Input should be less than or equal to ${issue.requirement}`,
      };
    case "regex":
      return {
        type: "string_pattern_mismatch",
        message: `String should match pattern '${issue.expected?.slice(1, -1)}'`,
      };
    default:
      return { type: "value_error", message: "Input is not valid" };
  }
}

const EXTRA = { type: "extra_forbidden", message: "Extra inputs are not permitted" };

const MISSING = { type: "missing", message: "Field required" };

/** `("a" | "b")`, which comes from the schema, as `"a" or "b"`. */
const choices = (issue: Issue): string =>
  (issue.expected ?? "").replace(/^\(|\)$/g, "").replaceAll(" | ", " or ");

function unionMessage(issue: Issue): string {
  const words =
    issue.issues?.map((one) => rule(one).message.replace(/^Input should be /, "")) ?? [];
  return `Input should be ${[...new Set(words)].join(" or ")}`;
}
