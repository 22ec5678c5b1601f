import type { Reply, ReplyBlock } from "../replies.ts";
import {
  compaction,
  insertAt,
  PING,
  reply,
  serverResult,
  serverToolUse,
  text,
  thinking,
  toolUse,
} from "../replies.ts";
import { exampleOf } from "../validate/json-schema.ts";
import { thinks } from "../validate/parameters.ts";
import type { Accepted } from "../validate/request.ts";
import { isClientTool } from "../validate/tools.ts";
import type { ApiRequest } from "../wire.ts";
import { isObject, stringAt } from "../wire.ts";
import type { Work } from "./plan.ts";
import { workOf } from "./plan.ts";
import { describe, recall, textOf, toolOutcomes, userTexts } from "./recall.ts";
import type { PlannedCall } from "./tool-calls.ts";
import { callOf, plannedCalls } from "./tool-calls.ts";

const MAX_COUNT = 2_000;
const EXCERPT = 600;
/** Characters of what one of the session's own tools gave, in the summary. */
const SHOWN = 1_500;

const INTRODUCTION = [
  "I am a stand-in, not Claude: a small local program that answers in place of the model.",
  "To talk to the real model, put `ANTHROPIC_API_KEY=…` into `.dev.vars` and start again.",
].join(" ");

const ABILITIES =
  "Until then I can echo, remember what you said, count (“count to 100”), think (“think about …”) and call the tools on offer (“use the tool X with {…}”).";
const FILES =
  "This session has files and a shell, which I use when you ask in plain words: “list the files”, “write hello.py that prints hi”, “replace hi with hello in hello.py”, “search for hello in the files”, “run cat hello.py”, or several of them with “then”.";

/** An answer in plain words to a request for which nothing is scripted. */
export function friendlyReply(accepted: Accepted, pace: number): Reply {
  const { request } = accepted;
  const blocks = isObject(request.body.compaction)
    ? [compaction(summary(request))]
    : [...thoughts(request), ...answerTo(request)];
  // Word by word, with a ping after the first block has started, as the API streams.
  return reply({ blocks: blocks.map(byWords), pace, acts: [insertAt(2, PING)] });
}

function answerTo(request: ApiRequest): ReplyBlock[] {
  const message = lastWords(request);
  const outcomes = toolOutcomes(request.messages);
  const isFollowUp = outcomes.length > 0;
  const format = isObject(request.body.output_config) ? request.body.output_config.format : null;
  if (isObject(format) && isObject(format.schema)) {
    return [text(JSON.stringify(exampleOf(format.schema, message || "stand-in")))];
  }
  const isFirst = !request.messages.some(({ role }) => role === "assistant");
  const say = (words: string) => text([...(isFirst ? [INTRODUCTION] : []), words].join("\n\n"));
  const work = isFree(request) ? workOf(request) : null;
  if (work?.next) return [say(`${work.next.doing}.`), toolUse(work.next.name, work.next.input)];
  if (work && work.done.length > 0) return [say(report(work))];
  if (isFollowUp) return [say(summarise(outcomes, message))];
  // Arguments that are given as JSON leave nothing to understand.
  const isUnclear = hasFiles(request) && work !== null && !message.includes("{");
  const calls = isUnclear ? [] : callsFor(request, message);
  if (calls.length > 0) {
    const names = calls.map(({ name }) => name).join(" and ");
    return [say(`I will call ${names}.`), ...calls.map(({ name, input }) => toolUse(name, input))];
  }
  const found = webSearch(request, message);
  if (found.length > 0) return [say("I will search."), ...found];
  if (isUnclear) return [say(`${unclear(work)}\n\n${FILES}`)];
  return [say(respond(request, message, isFirst))];
}

function respond(request: ApiRequest, message: string, isFirst: boolean): string {
  const goal = /\bcount (?:up )?to (\d+)/i.exec(message)?.[1];
  if (goal !== undefined) return countTo(Math.min(MAX_COUNT, Number(goal)));
  const earlier = userTexts(request.messages).slice(0, -1);
  const remembered = recall(message, earlier);
  if (remembered !== undefined) return remembered;
  const name = /\bmy name is ([^.,!?\n]{1,80})/i.exec(message)?.[1];
  if (name !== undefined) return `Nice to meet you, ${name.trim()}. I will remember your name.`;
  const topic = /\bthink (?:hard |carefully )?about ([^?\n]+)/i.exec(message)?.[1];
  if (topic !== undefined) return `I have thought about ${topic.trim()}, as far as a stand-in can.`;
  const last = request.messages.findLast(({ role }) => role === "user");
  const media = (last?.content ?? []).filter(({ type }) => type === "image" || type === "document");
  const received = media.map((block) => `You attached: ${describe(block)}.`);
  const echo = message === "" ? [] : [`You said: “${cut(message, EXCERPT)}”`];
  const abilities = hasFiles(request) ? [ABILITIES, FILES] : [ABILITIES];
  return [...received, ...echo, ...(isFirst ? abilities : [])].join("\n\n");
}

/** Whether the model itself decides which tools it calls. */
function isFree({ body }: ApiRequest): boolean {
  const choice = isObject(body.tool_choice) ? body.tool_choice.type : "auto";
  return choice === "auto" || choice === "any";
}

/** What came of each call, and what did not come to be one. */
function report(work: Work): string {
  const { done, left } = work;
  const parts = done.map(({ doing, text: result, isError }) => {
    const gave = cut(result, SHOWN);
    if (gave.trim() === "") return `${doing}: ${isError ? "failed" : "done"}.`;
    return `${doing} ${isError ? "failed" : "gave"}:\n${gave}`;
  });
  if (left > 0) parts.push("I stopped there and left the rest undone.");
  return [...parts, ...(work.unclear.length > 0 ? [unclear(work)] : [])]
    .join("\n\n")
    .toWellFormed();
}

const unclear = (work: Work): string =>
  `A stand-in does not know how to do this: “${work.unclear.join("”, “")}”.`;

/** The session has files, or a client that has them. */
const hasFiles = ({ offered }: ApiRequest): boolean => offered.has("Write") && offered.has("Bash");

const cut = (long: string, most: number): string =>
  long.length > most ? `${long.slice(0, most)}…` : long;

function countTo(goal: number): string {
  return Array.from({ length: goal }, (_, i) => String(i + 1)).join(" ");
}

function summarise(outcomes: ReturnType<typeof toolOutcomes>, message: string): string {
  const parts = outcomes.map(({ name, text: result, isError }) => {
    const excerpt = cut(result, EXCERPT);
    if (excerpt.trim() === "") return `${name} ${isError ? "failed" : "returned nothing"}.`;
    return `${name} ${isError ? "failed" : "returned"}:\n${excerpt}`;
  });
  const note = message === "" ? [] : [`You also said: “${message}”`];
  return [...parts, ...note].join("\n\n").toWellFormed();
}

/** The calls to make, under the request's `tool_choice`. */
function callsFor(request: ApiRequest, message: string): PlannedCall[] {
  const choice = isObject(request.body.tool_choice) ? request.body.tool_choice : { type: "auto" };
  if (choice.type === "none") return [];
  const offered = new Map([...request.offered].filter(([, tool]) => isClientTool(tool)));
  const calls = plannedCalls(message, offered);
  const isSingle = choice.disable_parallel_tool_use === true;
  if (choice.type === "tool" || (choice.type === "any" && calls.length === 0)) {
    const name = stringAt(choice, "name") || (offered.keys().next().value ?? "");
    const tool = offered.get(name);
    return tool ? [callOf(name, tool, message)] : [];
  }
  return isSingle ? calls.slice(0, 1) : calls;
}

/** A server tool call with its result in one answer, as the API runs it. */
function webSearch(request: ApiRequest, message: string): ReplyBlock[] {
  const query = /\bsearch (?:the (?:web|internet) )?for ([^?\n]+)/i.exec(message)?.[1]?.trim();
  if (query === undefined || !request.offered.has("web_search")) return [];
  const page = {
    type: "web_search_result",
    title: `A stand-in's page about ${query}`,
    url: "https://example.com/",
    encrypted_content: "c3RhbmQtaW4=",
    page_age: null,
  };
  return [
    serverToolUse("web_search", { query }),
    serverResult("web_search_tool_result", [page]),
    text(`I found one page about ${query}. It is made up: a stand-in has no internet.`),
  ];
}

function thoughts(request: ApiRequest): ReplyBlock[] {
  if (!thinks(request.body, request.model)) return [];
  const message = lastWords(request);
  const topic = /\bthink (?:hard |carefully )?about ([^?\n]+)/i.exec(message)?.[1]?.trim();
  if (topic === undefined) {
    return [thinking("The stand-in looks at the last message and picks a plain answer.")];
  }
  const steps = [
    `The user wants me to think about ${topic}.`,
    `First: what is known about ${topic}? A stand-in knows nothing, so it can only turn the words over.`,
    `Second: what would a careful answer to ${topic} have to weigh? Causes, effects, costs, and who is asking.`,
    "Third: is there a counterexample? There usually is one, and it usually hides in the second step.",
    `So the honest result is that ${topic} deserves the real model.`,
  ];
  return [thinking(steps.join("\n\n"))];
}

function summary(request: ApiRequest): string {
  const said = userTexts(request.messages).map((line) => `- ${line.slice(0, 200)}`);
  return ["Summary by the stand-in. The user said:", ...said].join("\n").toWellFormed();
}

/** The text of the newest user message; a message may be tool results only. */
function lastWords(request: ApiRequest): string {
  const last = request.messages.findLast(({ role }) => role === "user");
  return textOf(last?.content ?? []);
}

function byWords(block: ReplyBlock): ReplyBlock {
  if (block.block !== "text" && block.block !== "thinking") return block;
  return { ...block, deltas: block.text.match(/\s*\S+\s*$|\s*\S+/g) ?? [] };
}
