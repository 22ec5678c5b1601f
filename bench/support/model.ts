/**
 * The model of the benchmarks: the stand-in, told by each prompt how to answer it. The prompt is
 * the same whether it comes through Ledge or directly, so both get the same answer.
 */
import { fork } from "node:child_process";
import type { Gate } from "../../src/standin/gate.ts";
import type { RecordedRequest } from "../../src/standin/journal.ts";
import {
  holdAt,
  reply,
  type Scripted,
  text,
  thinking,
  toolUse,
} from "../../src/standin/replies.ts";
import { type StandinServer, startStandinServer } from "../../src/standin/server.ts";
import { createStandin } from "../../src/standin/standin.ts";
import type { JsonObject } from "../../src/standin/wire.ts";

/** How the stand-in answers: the JSON text of a prompt. */
export interface Script {
  /** Words of the answer's text. */
  words: number;
  /** Words of thinking before it. */
  thinking?: number;
  /** Calls of the tool `look` to make, one per model call, before the answer. */
  rounds?: number;
  /** Calls of other tools to make instead, one per model call. */
  calls?: readonly { name: string; input: JsonObject }[];
  /** Milliseconds before each delta. */
  pace?: number;
  /** UTF-16 units per delta; 16 is about four tokens. */
  delta?: number;
  /** Makes two prompts differ. */
  tag?: string | number;
}

/** The tool of tool turns, as the Messages API takes it. */
export const LOOK = {
  name: "look",
  description: "Looks something up.",
  input_schema: {
    type: "object" as const,
    properties: { what: { type: "string" } },
    required: ["what"],
  },
};

export const prompt = (script: Script): string => JSON.stringify(script);

/** `count` different words, six characters each with the blank. */
const words = (count: number): string =>
  Array.from({ length: count }, (_, n) => `w${String(n % 10_000).padStart(4, "0")}`).join(" ");

/** Serves the model; requests wait at `gate`, where one is given, before they are answered. */
export function startModel(gate?: () => Gate | undefined): Promise<StandinServer> {
  const standin = createStandin({ keepRequests: 1 });
  standin.respond((request) => answer(request, gate?.()));
  return startStandinServer({ standin });
}

/**
 * The first text delta of an answer is the time at which its request arrived, so that a reader of
 * the answer knows how long the way to the model took.
 */
function answer(request: RecordedRequest, gate: Gate | undefined): Scripted {
  const arrived = `${(performance.timeOrigin + performance.now()).toFixed(2)} `;
  const { script, results } = read(request.body);
  const { pace = 0, delta = 16 } = script;
  const body = words(script.words);
  const looks = Array.from({ length: script.rounds ?? 0 }, (_, n) => look(n));
  const call = (script.calls ?? looks)[results];
  const blocks = call
    ? [toolUse(call.name, call.input)]
    : [text(arrived + body, { deltas: [arrived, ...slices(body, delta)] })];
  const before = script.thinking ? [thinking(words(script.thinking))] : [];
  const acts = gate ? [holdAt("request", gate)] : [];
  return reply({ blocks: [...before, ...blocks], pace, deltaSize: delta, acts });
}

const look = (round: number) => ({ name: LOOK.name, input: { what: `round ${round}` } });

const slices = (whole: string, size: number): string[] =>
  Array.from({ length: Math.ceil(whole.length / size) }, (_, n) =>
    whole.slice(n * size, (n + 1) * size),
  );

interface Message {
  role: string;
  content: string | { type: string; text?: string }[];
}

/** The last prompt of a request, and how many tool results have come since. */
function read(body: unknown): { script: Script; results: number } {
  // The stand-in has checked the request.
  const { messages } = body as { messages: Message[] };
  let results = 0;
  for (const { role, content } of messages.toReversed()) {
    if (role !== "user") continue;
    const blocks = typeof content === "string" ? [{ type: "text", text: content }] : content;
    const last = blocks.findLast((block) => block.type === "text" && block.text?.startsWith("{"));
    if (last?.text) return { script: JSON.parse(last.text) as Script, results };
    results += blocks.filter((block) => block.type === "tool_result").length;
  }
  return { script: { words: 20 }, results };
}

/** The model in a process of its own, so that a busy client does not slow it down. */
export async function startModelProcess(): Promise<{ url: string; close(): Promise<void> }> {
  const child = fork(new URL("./model-process.ts", import.meta.url));
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const url = await new Promise<string>((resolve, reject) => {
    child.once("message", (message) => resolve(String(message)));
    child.once("exit", (code) => reject(new Error(`the model ended with ${code}`)));
  });
  return {
    url,
    async close() {
      child.kill();
      await ended;
    },
  };
}
