import type { Json, JsonObject, Problem } from "../wire.ts";
import { invalid, isObject } from "../wire.ts";

/** Looks at one value; `path` is how the API names it in a message. */
export type Check = (value: Json, path: string) => Problem | undefined;

export interface Field {
  readonly check: Check;
  readonly required: boolean;
}

export type Shape = Readonly<Record<string, Field>>;

export const required = (check: Check): Field => ({ check, required: true });
export const optional = (check: Check): Field => ({ check, required: false });

/** Every field known, every required one there, every value of its kind. */
export function shaped(shape: Shape): Check {
  return (value, path) => {
    if (!isObject(value)) return invalid(`${path}: Input should be a valid dictionary`);
    return checkFields(value, path, shape);
  };
}

export function checkFields(value: JsonObject, path: string, shape: Shape): Problem | undefined {
  const prefix = path === "" ? "" : `${path}.`;
  for (const [key, field] of Object.entries(shape)) {
    const found = value[key];
    if (found === undefined) {
      if (field.required) return invalid(`${prefix}${key}: Field required`);
      continue;
    }
    const problem = field.check(found, `${prefix}${key}`);
    if (problem) return problem;
  }
  for (const key of Object.keys(value)) {
    if (!Object.hasOwn(shape, key)) {
      return invalid(`${prefix}${key}: Extra inputs are not permitted`);
    }
  }
  return undefined;
}

export const text: Check = (value, path) =>
  typeof value === "string" ? undefined : invalid(`${path}: Input should be a valid string`);

export const flag: Check = (value, path) =>
  typeof value === "boolean" ? undefined : invalid(`${path}: Input should be a valid boolean`);

export const dictionary: Check = (value, path) =>
  isObject(value) ? undefined : invalid(`${path}: Input should be a valid dictionary`);

export const anything: Check = () => undefined;

export function matching(pattern: RegExp): Check {
  return (value, path) =>
    text(value, path) ??
    (typeof value === "string" && pattern.test(value)
      ? undefined
      : invalid(`${path}: String should match pattern '${pattern.source}'`));
}

export function sized(min: number, max: number): Check {
  return (value, path) => {
    const problem = text(value, path);
    if (problem || typeof value !== "string") return problem;
    if (value.length < min) {
      return invalid(`${path}: String should have at least ${min} character`);
    }
    if (value.length > max) {
      return invalid(`${path}: String should have at most ${max} characters`);
    }
    return undefined;
  };
}

export function whole(min: number): Check {
  return (value, path) => {
    if (typeof value !== "number" || !Number.isInteger(value)) {
      return invalid(`${path}: Input should be a valid integer`);
    }
    return value < min
      ? invalid(`${path}: Input should be greater than or equal to ${min}`)
      : undefined;
  };
}

export function between(min: number, max: number): Check {
  return (value, path) => {
    if (typeof value !== "number") return invalid(`${path}: Input should be a valid number`);
    if (value < min) return invalid(`${path}: Input should be greater than or equal to ${min}`);
    if (value > max) return invalid(`${path}: Input should be less than or equal to ${max}`);
    return undefined;
  };
}

export function among(...allowed: readonly string[]): Check {
  return (value, path) =>
    typeof value === "string" && allowed.includes(value)
      ? undefined
      : invalid(`${path}: Input should be ${quotedChoice(allowed)}`);
}

export function nullable(check: Check): Check {
  return (value, path) => (value === null ? undefined : check(value, path));
}

export function listOf(check: Check): Check {
  return (value, path) => {
    if (!Array.isArray(value)) return invalid(`${path}: Input should be a valid list`);
    return firstProblem(value, (item, i) => check(item, `${path}.${i}`));
  };
}

export function either(first: Check, second: Check): Check {
  return (value, path) => (first(value, path) === undefined ? undefined : second(value, path));
}

/** The first problem that `look` finds, in order. */
export function firstProblem<T>(
  items: readonly T[],
  look: (item: T, index: number) => Problem | undefined,
): Problem | undefined {
  for (const [index, item] of items.entries()) {
    const problem = look(item, index);
    if (problem) return problem;
  }
  return undefined;
}

function quotedChoice(allowed: readonly string[]): string {
  const quoted = allowed.map((value) => `'${value}'`);
  if (quoted.length < 2) return quoted.join("");
  return `${quoted.slice(0, -1).join(", ")} or ${quoted.at(-1)}`;
}
