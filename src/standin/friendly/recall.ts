import type { JsonObject, Message } from "../wire.ts";
import { isObject, objectsAt, stringAt } from "../wire.ts";

/** What the user has typed, oldest first; messages that only carry tool results are left out. */
export function userTexts(messages: readonly Message[]): string[] {
  return messages
    .filter(({ role }) => role === "user")
    .map(({ content }) => textOf(content))
    .filter((text) => text !== "");
}

export function textOf(content: readonly JsonObject[]): string {
  return typedTexts(content).join("\n").trim();
}

/** What a harness adds to the user's words. */
const REMINDER = /<system-reminder>[\s\S]*?<\/system-reminder>/g;

/** The texts without what the user has not typed. */
export function typedTexts(content: readonly JsonObject[]): string[] {
  return content
    .filter(({ type }) => type === "text")
    .map((block) => stringAt(block, "text").replace(REMINDER, "").trim())
    .filter((text) => text !== "");
}

/** The answer to a question about the conversation so far, where the transcript holds one. */
export function recall(question: string, earlier: readonly string[]): string | undefined {
  const first = earlier[0];
  const previous = earlier.at(-1);
  if (
    /\bwhat (did|have) i (say|said|write|ask)\b.*\bfirst\b|\bmy first (message|question)\b/i.test(
      question,
    )
  ) {
    return first === undefined
      ? "This is your first message, so there is nothing before it."
      : `The first thing you said was: “${first}”`;
  }
  if (/\bwhat did i (just )?(say|write|ask)\b|\bmy last (message|question)\b/i.test(question)) {
    return previous === undefined
      ? "You have not said anything before this."
      : `Just before this you said: “${previous}”`;
  }
  const asked = /\bwhat(?:'s| is| was) my ([\w ]{1,40}?)\s*\?*$/i.exec(question.trim());
  if (asked?.[1]) return recallFact(asked[1].trim(), earlier);
  if (/\bwho am i\b/i.test(question)) return recallFact("name", earlier);
  if (/\bhow many messages\b/i.test(question)) {
    return `You have sent ${earlier.length + 1} messages, this one included.`;
  }
  return undefined;
}

/** `my <thing> is <value>`, the latest one said. */
function recallFact(thing: string, earlier: readonly string[]): string {
  const said = earlier.toReversed().map((text) => factIn(thing, text));
  const value = said.find((found) => found !== undefined);
  return value === undefined ? `You have not told me your ${thing}.` : `Your ${thing} is ${value}.`;
}

function factIn(thing: string, text: string): string | undefined {
  const name = thing.replaceAll(/[^\w ]/g, "");
  const stated = new RegExp(`\\bmy ${name} is ([^.,!?\\n]{1,80})`, "i").exec(text);
  if (stated?.[1]) return stated[1].trim();
  if (name.toLowerCase() !== "name") return undefined;
  return /\b(?:i am|i'm|call me) ([A-Z][\w-]*)/.exec(text)?.[1];
}

/** Tool results of the last user message, with the names of the calls they answer. */
export interface ToolOutcome {
  readonly name: string;
  readonly text: string;
  readonly isError: boolean;
}

export function toolOutcomes(messages: readonly Message[]): ToolOutcome[] {
  const last = messages.findLast(({ role }) => role === "user");
  const results = last?.content.filter(({ type }) => type === "tool_result") ?? [];
  return results.map((result) => ({
    name: nameOfCall(messages, stringAt(result, "tool_use_id")),
    text: resultText(result),
    isError: result.is_error === true,
  }));
}

function nameOfCall(messages: readonly Message[], id: string): string {
  const answer = messages.findLast(({ role }) => role === "assistant");
  const call = answer?.content.find((block) => block.type === "tool_use" && block.id === id);
  return call ? stringAt(call, "name") : "tool";
}

export function resultText(result: JsonObject): string {
  if (typeof result.content === "string") return result.content;
  return objectsAt(result, "content")
    .map((block) => (block.type === "text" ? stringAt(block, "text") : `[${describe(block)}]`))
    .join("\n");
}

/** A few words for a block that is no text. */
export function describe(block: JsonObject): string {
  const source = isObject(block.source) ? block.source : {};
  const mediaType = stringAt(source, "media_type");
  return mediaType === "" ? stringAt(block, "type") : `${stringAt(block, "type")}, ${mediaType}`;
}
