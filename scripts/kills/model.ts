/**
 * The model of the workload. Every answer is a function of the prompt, so that a call that is made
 * again after a kill gets an answer that fits, and knows which task and which session it is for.
 */
import type { RecordedRequest } from "../../src/standin/journal.ts";
import {
  cutAt,
  httpError,
  type ReplyBlock,
  refusal,
  reply,
  type Scripted,
  text,
  thinking,
  toolUse,
  waitAt,
} from "../../src/standin/replies.ts";
import { isObject, type Json } from "../../src/standin/wire.ts";

/** What the model does with a task, and how often a client asks for it. */
export const SHAPES = {
  plain: 5,
  thinking: 4,
  slow: 4,
  tools: 4,
  steps: 3,
  overloaded: 2,
  broken: 2,
  limit: 2,
  refused: 1,
  rejected: 1,
} as const;

export type Shape = keyof typeof SHAPES;

const isShape = (name: string): name is Shape => Object.hasOwn(SHAPES, name);

/** One message of a client. */
export interface Task {
  /** The label of its session. */
  chat: string;
  n: number;
  shape: Shape;
}

/** What a client sends, and the model finds again in the prompt. */
export const taskText = ({ chat, n, shape }: Task): string => `Task ${chat}/${n} ${shape}`;

/** How a task is named in texts. */
export const taskName = ({ chat, n }: Pick<Task, "chat" | "n">): string => `${chat}/${n}`;

const TASK = /Task ([a-z0-9]+)\/(\d+) ([a-z]+)/g;

/** All tasks in a text, in order. */
export function tasksIn(value: string): Task[] {
  return [...value.matchAll(TASK)].flatMap(([, chat = "", n, shape = ""]) =>
    isShape(shape) ? [{ chat, n: Number(n), shape }] : [],
  );
}

/** The client's tools, as a session gets them when it is created. */
export const TOOLS = ["lookup", "measure"].map((name) => ({
  type: "function",
  function: {
    name,
    description: `To ${name} something.`,
    parameters: { type: "object", properties: { task: { type: "string" } } },
  },
}));

/** Milliseconds between two deltas. */
const PACE_MS = 15;
const SLOW_PACE_MS = 40;
const RETRY_SECONDS = 0.2;

export class Model {
  /** The latest request of each session. */
  readonly #latest = new Map<string, { task: Task; request: RecordedRequest }>();
  /** How often each step of a task was asked for. */
  readonly #tries = new Map<string, number>();
  readonly #onCall: (task: Task) => void;
  #calls = 0;

  /** @param onCall is told of each call when it arrives */
  constructor(onCall: (task: Task) => void) {
    this.#onCall = onCall;
  }

  /** Model calls so far. */
  get calls(): number {
    return this.#calls;
  }

  /** The tasks whose answer is being written at this moment. */
  get open(): Task[] {
    return [...this.#latest.values()]
      .filter(({ request }) => request.outcome.state === "open")
      .map(({ task }) => task);
  }

  /** For `Standin.respond`. */
  answer(request: RecordedRequest): Scripted | undefined {
    const place = placeOf(request.body);
    if (!place) return undefined;
    const { task, step } = place;
    this.#calls += 1;
    this.#latest.set(task.chat, { task, request });
    this.#onCall(task);
    const name = `${taskName(task)} ${step}`;
    const tries = (this.#tries.get(name) ?? 0) + 1;
    this.#tries.set(name, tries);
    return answerTo(task, step, tries);
  }
}

/** The newest task in a prompt, and how many answers it has had so far. */
function placeOf(body: Json | undefined): { task: Task; step: number } | null {
  const messages = isObject(body) && Array.isArray(body.messages) ? body.messages : [];
  let step = 0;
  for (const message of messages.toReversed()) {
    if (!isObject(message)) continue;
    if (message.role === "assistant") step += 1;
    const task = message.role === "user" ? tasksIn(textOf(message.content)).at(-1) : undefined;
    if (task) return { task, step };
  }
  return null;
}

function textOf(content: Json | undefined): string {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return "";
  return content
    .map((block) => (isObject(block) && typeof block.text === "string" ? block.text : ""))
    .join("\n");
}

function answerTo(task: Task, step: number, tries: number): Scripted {
  const says = (words: number) => text(sentence(task, step, words));
  const calls = (...names: string[]) =>
    names.map((name) => toolUse(name, { task: taskName(task) }));
  switch (task.shape) {
    case "plain":
      return paced([says(20)]);
    case "thinking":
      return paced([thinking(`About ${taskName(task)}, for a while.`), says(20)]);
    case "slow":
      return reply({ blocks: [says(100)], pace: SLOW_PACE_MS });
    case "tools":
      if (step > 0) return paced([says(15)]);
      return paced([thinking("Both at once."), says(8), ...calls("lookup", "measure")]);
    case "steps":
      if (step > 1) return paced([says(15)]);
      return paced([says(5), ...calls(step === 0 ? "lookup" : "measure")]);
    case "overloaded":
      return tries === 1 ? httpError(529, { retryAfter: RETRY_SECONDS }) : paced([says(20)]);
    case "broken":
      if (tries > 1) return paced([says(20)]);
      return reply({
        blocks: [says(40)],
        pace: PACE_MS,
        acts: [cutAt({ block: 0, delta: 4 }, "error")],
      });
    case "limit":
      if (step > 0) return paced([says(15)]);
      return reply({ blocks: [says(30)], pace: PACE_MS, stop_reason: "max_tokens" });
    case "refused":
      return refusal("general_harms", [says(5)]);
    case "rejected":
      return httpError(400, { message: "messages.0: this is not taken" });
  }
}

/** An answer that takes a moment to begin, so that a kill may come before its first byte. */
const paced = (blocks: ReplyBlock[]): Scripted =>
  reply({ blocks, pace: PACE_MS, acts: [waitAt("request", PACE_MS)] });

const sentence = (task: Task, step: number, words: number): string =>
  [`Answer ${step} to ${taskName(task)}:`, ...Array.from({ length: words }, (_, i) => `w${i}`)]
    .join(" ")
    .concat(".");
