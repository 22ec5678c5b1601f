/** The variables that say which prompts are refused for what they say. */
import { RE2JS, RE2JSException } from "re2js";
import { oneOf } from "./config-readers.ts";
import { table, type Variable } from "./config-table.ts";

/** `api-v1`: only on the surface whose original has it. */
const MODERATION_MODES = ["off", "api-v1", "all"] as const;

export type ModerationMode = (typeof MODERATION_MODES)[number];

/** A pattern of the owner's; `name` is what a refusal says. */
export interface ModerationPattern {
  name: string;
  pattern: string;
}

const MAX_PATTERNS = 20;
const MAX_PATTERN_CHARACTERS = 500;
/** Of all patterns together, so that prompts of any usual length can be looked at. */
const MAX_STATES = 2_000;

const RULE = `a JSON list of at most ${MAX_PATTERNS} objects \`{"name", "pattern"}\`: different names of up to 64 letters, digits, \`_\`, \`.\` or \`-\`, and regular expressions (RE2) of up to ${MAX_PATTERN_CHARACTERS} characters that do not match an empty text`;

type Read = { patterns: ModerationPattern[] } | { fault: string };

/** An owner's pattern as it is searched for: no case, and a time that is linear in the text. */
export const compilePattern = (pattern: string): RE2JS =>
  RE2JS.compile(pattern, RE2JS.CASE_INSENSITIVE);

function readPatterns(text: string): Read {
  const list = parsed(text);
  if (!Array.isArray(list) || list.length > MAX_PATTERNS) return { fault: RULE };
  const patterns: ModerationPattern[] = [];
  let states = 0;
  for (const one of list) {
    if (!isPattern(one) || patterns.some(({ name }) => name === one.name)) return { fault: RULE };
    const { name, pattern } = one;
    const refuse = (why: string) => ({ fault: `${RULE}; the pattern \`${name}\` is not: ${why}` });
    const compiled = compiledOrFault(pattern);
    if (typeof compiled === "string") return refuse(compiled);
    states += compiled.programSize();
    if (states > MAX_STATES) return refuse("with its repetitions it is too large");
    patterns.push({ name, pattern });
  }
  return { patterns };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function isPattern(value: unknown): value is ModerationPattern {
  if (typeof value !== "object" || value === null) return false;
  if (!("name" in value && "pattern" in value)) return false;
  const { name, pattern } = value;
  if (typeof name !== "string" || !/^[A-Za-z0-9_.-]{1,64}$/.test(name)) return false;
  if (typeof pattern !== "string" || Object.keys(value).length !== 2) return false;
  return pattern.length > 0 && pattern.length <= MAX_PATTERN_CHARACTERS;
}

/** Ready to be searched for, or why it cannot be. */
function compiledOrFault(pattern: string): RE2JS | string {
  try {
    const compiled = compilePattern(pattern);
    return compiled.matcher("").find() ? "it matches an empty text" : compiled;
  } catch (error) {
    if (error instanceof RE2JSException) return error.message;
    throw error;
  }
}

export const MODERATION_VARIABLES = table({
  MODERATION: {
    meaning:
      "Where prompts are refused that match a rule against prompt injection and destructive commands: `api-v1` is the surface of claude-code-api, `all` the native one as well. See [Moderation](docs/operations.md#moderation).",
    rule: oneOf(MODERATION_MODES),
    fallback: "api-v1",
    secret: false,
    read: (text) => MODERATION_MODES.find((mode) => mode === text) ?? null,
  } satisfies Variable<ModerationMode>,
  MODERATION_PATTERNS: {
    meaning:
      'Patterns beside the built-in rules, as JSON: `[{"name": "project", "pattern": "project\\\\s+x"}]`. Regular expressions (RE2), without regard to case.',
    rule: RULE,
    fallback: null,
    secret: false,
    read: (text) => {
      const read = readPatterns(text);
      return "patterns" in read ? read.patterns : null;
    },
    fault: (text) => {
      const read = readPatterns(text);
      return "fault" in read ? read.fault : null;
    },
  },
});
