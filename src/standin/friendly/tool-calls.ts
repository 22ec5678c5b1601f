import { exampleOf } from "../validate/json-schema.ts";
import type { Json, JsonObject } from "../wire.ts";
import { isObject, stringAt } from "../wire.ts";

export interface PlannedCall {
  readonly name: string;
  readonly input: JsonObject;
}

interface Mention {
  readonly name: string;
  readonly tool: JsonObject;
  readonly at: number;
  /** The words that belong to this call. */
  readonly words: string;
}

/** The calls that a message asks for, in the order it names them. */
export function plannedCalls(
  message: string,
  offered: ReadonlyMap<string, JsonObject>,
): PlannedCall[] {
  const found = [...offered].flatMap(([name, tool]) => {
    const at = mentionOf(name, message);
    return at === -1 ? [] : [{ name, tool, at }];
  });
  found.sort((a, b) => a.at - b.at || b.name.length - a.name.length);
  const distinct = found.filter((mention, i) => found[i - 1]?.at !== mention.at);
  return distinct.map((mention, i) => {
    const words = message.slice(mention.at + mention.name.length, distinct[i + 1]?.at);
    return { name: mention.name, input: argumentsFor({ ...mention, words }, message) };
  });
}

/** A call of one given tool, for a forced `tool_choice`. */
export function callOf(name: string, tool: JsonObject, message: string): PlannedCall {
  return { name, input: argumentsFor({ name, tool, at: 0, words: message }, message) };
}

/**
 * Where a message names a tool. Many names are plain words ("read", "write"), so a name written in
 * another case than the tool's counts only as a command: at the start of a clause, or after "use",
 * "call" and the like.
 */
function mentionOf(name: string, message: string): number {
  const escaped = name.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const exact = new RegExp(`(?<![\\w-])${escaped}(?![\\w-])`).exec(message);
  if (exact) return exact.index;
  const command = new RegExp(
    `(?:^|[.;,:!?\\n]\\s*|\\b(?:use|using|call|run|invoke|with|try|please|you|then|and|the|tool|tools)\\s+)(${escaped})(?![\\w-])`,
    "i",
  ).exec(message);
  if (!command?.[1]) return -1;
  return command.index + command[0].length - command[1].length;
}

function argumentsFor(mention: Mention, message: string): JsonObject {
  const given = jsonIn(mention.words);
  if (given) return given;
  const schema = isObject(mention.tool.input_schema) ? mention.tool.input_schema : {};
  const properties = isObject(schema.properties) ? schema.properties : {};
  const needed = Array.isArray(schema.required) ? schema.required : [];
  const input: JsonObject = {};
  for (const [key, property] of Object.entries(properties)) {
    if (!isObject(property)) continue;
    const guess = guessValue(key, property, mention.words) ?? guessValue(key, property, message);
    if (guess !== undefined) input[key] = guess;
    else if (needed.includes(key)) input[key] = exampleOf(property, restOf(mention.words, message));
  }
  return input;
}

/** The first balanced JSON object in the words. */
function jsonIn(words: string): JsonObject | undefined {
  const start = words.indexOf("{");
  for (
    let end = words.lastIndexOf("}");
    start !== -1 && end > start;
    end = words.lastIndexOf("}", end - 1)
  ) {
    try {
      const parsed: Json = JSON.parse(words.slice(start, end + 1));
      if (isObject(parsed)) return parsed;
    } catch {
      // A shorter piece may still be JSON.
    }
  }
  return undefined;
}

/** A value for a parameter out of the words, by the parameter's name; undefined without a clue. */
function guessValue(key: string, property: JsonObject, words: string): Json | undefined {
  const choices = Array.isArray(property.enum) ? property.enum : [];
  const chosen = choices.find((c) => typeof c === "string" && words.includes(c));
  if (chosen !== undefined) return chosen;
  const type = stringAt(property, "type");
  if (type === "number" || type === "integer") {
    const number = /-?\d+(?:\.\d+)?/.exec(words)?.[0];
    return number === undefined ? undefined : Number(number);
  }
  if (type !== "string" && type !== "") return undefined;
  const quoted = [...words.matchAll(/"([^"]+)"|'([^']+)'|“([^”]+)”|`([^`]+)`/g)].map(
    (match) => match[1] ?? match[2] ?? match[3] ?? match[4] ?? "",
  );
  if (/path|file|dir|notebook/i.test(key)) {
    const path = /(?:[\w.-]*\/)+[\w.-]*|[\w-]+\.[A-Za-z]\w{0,8}\b/.exec(words)?.[0];
    return path ?? undefined;
  }
  if (/url|uri|link/i.test(key)) return /https?:\/\/\S+/.exec(words)?.[0];
  if (/command|script|code/i.test(key)) return quoted[0] ?? after(words, /:\s*(.+)$/s);
  if (/^old/i.test(key)) return quoted[0];
  if (/^new/i.test(key)) return quoted[1];
  if (/city|location|place/i.test(key)) {
    return quoted[0] ?? /\bin ([A-Z][\w-]*(?: [A-Z][\w-]*)*)/.exec(words)?.[1];
  }
  if (/pattern|query|search|content|text|message|prompt/i.test(key)) return quoted[0];
  return undefined;
}

function after(words: string, pattern: RegExp): string | undefined {
  return pattern.exec(words)?.[1]?.trim();
}

/** What is left of the words as a text argument. */
function restOf(words: string, message: string): string {
  const rest = words
    .replace(/^\s*(?:tool)?\b\s*(?:with|on|for|to|the|a|and|:)?\s*/i, "")
    .replace(/[\s?.!]+$/, "")
    .trim();
  return rest === "" ? message : rest;
}
