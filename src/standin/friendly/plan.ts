/** Turns what the user has typed into goals, and finds out how far they are. */

import { isClientTool } from "../validate/tools.ts";
import type { ApiRequest, JsonObject, Message } from "../wire.ts";
import { isObject, stringAt } from "../wire.ts";
import { clausesOf } from "./clauses.ts";
import type { Given, Goal, Progress, Step } from "./goals.ts";
import { follow } from "./goals.ts";
import { INTENTS } from "./intents.ts";
import { resultText, typedTexts } from "./recall.ts";

/** A longer text is something to read, and no wish in plain words. */
const MAX_WISH = 4_000;

interface Plan {
  readonly goals: readonly Goal[];
  /** Clauses that ask for something that nothing here understands. */
  readonly unclear: readonly string[];
}

export interface Work extends Progress {
  readonly unclear: readonly string[];
}

type Tools = ReadonlyMap<string, JsonObject>;

/** What the newest words of the user ask of the built-in tools; null when that is nothing. */
export function workOf(request: ApiRequest): Work | null {
  const { messages } = request;
  const at = messages.findLastIndex(
    ({ role, content }) => role === "user" && typedTexts(content).length > 0,
  );
  const newest = messages[at];
  if (!newest) return null;
  const tools: Tools = new Map([...request.offered].filter(([, tool]) => isClientTool(tool)));
  const file = lastFile(messages.slice(0, at));
  const plans = typedTexts(newest.content).map((text) => planOf(text, tools, file));
  const plan = plans.findLast(({ goals }) => goals.length > 0) ?? plans.at(-1);
  if (!plan || plan.goals.length + plan.unclear.length === 0) return null;
  return { ...follow(plan.goals, resultsOf(messages.slice(at + 1))), unclear: plan.unclear };
}

/** `it` is the file that was spoken of before. */
function planOf(message: string, tools: Tools, it: string | null): Plan {
  const goals: Goal[] = [];
  const unclear: string[] = [];
  let file = it;
  const isWish = message.length <= MAX_WISH && !namesTool(message, tools);
  for (const clause of isWish ? clausesOf(message) : []) {
    const goal = goalOf(clause, tools, file);
    if (goal) {
      goals.push(goal);
      file = goal.file ?? file;
    } else if (ASKS.test(clause)) unclear.push(clause);
  }
  return { goals, unclear };
}

/** "Use Read" is a call by name, and needs no understanding. */
const namesTool = (message: string, tools: Tools): boolean =>
  [...message.matchAll(/\b(?:use|using|call|invoke)\s+(?:the )?(?:tools? )?([\w-]+)/gi)].some(
    ([, name = ""]) => tools.has(name),
  );

/** To be told of the results needs no tool. */
const ASKS =
  /^(?:write|create|make|add|append|read|open|list|find|search|replace|change|edit|rename|move|copy|delete|remove|run|execute|clone|fetch)\b/i;

function goalOf(clause: string, tools: Tools, it: string | null): Goal | null {
  for (const intent of INTENTS) {
    if (!intent.tools.every((name) => tools.has(name))) continue;
    for (const phrase of intent.phrases) {
      const found = phrase.exec(clause);
      const goal = found && intent.goal(found.groups ?? {}, it);
      const first = goal?.next([]);
      if (first && takes(tools, first)) return goal;
    }
  }
  return null;
}

/** A client's tool may have the name of a built-in one and other parameters. */
function takes(tools: Tools, { name, input }: Step): boolean {
  const schema = tools.get(name)?.input_schema;
  const properties = isObject(schema) && isObject(schema.properties) ? schema.properties : {};
  return Object.keys(input).every((key) => Object.hasOwn(properties, key));
}

/** What the calls in these messages gave, in their order. */
function resultsOf(messages: readonly Message[]): Given[] {
  const results = new Map(
    messages
      .flatMap(({ content }) => content)
      .filter(({ type }) => type === "tool_result")
      .map((result) => [stringAt(result, "tool_use_id"), result]),
  );
  return usesIn(messages).flatMap(({ id }) => {
    const result = results.get(id);
    return result ? [{ text: resultText(result), isError: result.is_error === true }] : [];
  });
}

const usesIn = (messages: readonly Message[]) =>
  messages
    .filter(({ role }) => role === "assistant")
    .flatMap(({ content }) => content)
    .filter(({ type }) => type === "tool_use")
    .map((use) => ({
      id: stringAt(use, "id"),
      name: stringAt(use, "name"),
      input: isObject(use.input) ? use.input : {},
    }));

/** The file that the last call which names one was about. */
function lastFile(messages: readonly Message[]): string | null {
  const files = usesIn(messages).map(
    ({ input }) => stringAt(input, "file_path") || stringAt(input, "notebook_path"),
  );
  return files.findLast((file) => file !== "") ?? null;
}
