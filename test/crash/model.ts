import type { JsonObject } from "../../src/shared/content.ts";
import { createGate, type Gate } from "../../src/standin/gate.ts";
import type { RecordedRequest } from "../../src/standin/journal.ts";
import {
  holdAt,
  type Placed,
  type ReplyBlock,
  type Scripted,
  toolUse,
} from "../../src/standin/replies.ts";
import { standin } from "../api/cc/server.ts";

/** Which request of the test file it was; the journal keeps it, and the response is known by it. */
const NUMBER = "x-test-request";

/**
 * The stand-in is in the same process, so an object would ask it and read all of its answer in one
 * step, and its end would undo what it wrote before. What goes to another machine and comes from
 * there takes a step each.
 */
export const farAway = (): Promise<void> => scheduler.wait(0);

function fromFarAway(body: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        await farAway();
        const { done, value } = await reader.read();
        if (done) controller.close();
        else controller.enqueue(value);
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  );
}

const inner = standin.fetch;
const ids = new Map<string, string>();
let count = 0;
const numbered: typeof inner = async (input, init) => {
  count += 1;
  const number = String(count);
  const headers = new Headers(init?.headers);
  headers.set(NUMBER, number);
  await farAway();
  const response = await inner(input, { ...init, headers });
  ids.set(number, response.headers.get("request-id") ?? "");
  return response.body ? new Response(fromFarAway(response.body), response) : response;
};
Object.defineProperty(standin, "fetch", { value: numbered });

/** The id under which a request was answered, as `call.ended` has it; null when it had no answer. */
export const requestId = (request: RecordedRequest): string | null =>
  ids.get(request.headers[NUMBER] ?? "") ?? null;

/** Answers by what is asked, because a step is asked for again when the object died over it. */
export type Answering = (asked: string, request: RecordedRequest) => Scripted;

/** The model of one run. Returns its requests, which grow. */
export function answering(answer: Answering): readonly RecordedRequest[] {
  standin.reset();
  ids.clear();
  holds.clear();
  const requests: RecordedRequest[] = [];
  standin.respond((request) => {
    requests.push(request);
    return answer(newest(request), request);
  });
  return requests;
}

/** The texts and tool results of the newest user message. */
function newest({ body }: RecordedRequest): string {
  // The stand-in has checked its form.
  const { messages } = body as unknown as { messages: { role: string; content: JsonObject[] }[] };
  const content = messages.findLast(({ role }) => role === "user")?.content ?? [];
  return content.map((block) => said(block)).join("\n");
}

function said({ type, text, content }: JsonObject): string {
  if (type === "text") return String(text);
  return Array.isArray(content) ? content.map((one) => said(one as JsonObject)).join("\n") : "";
}

const holds = new Set<Hold>();

/** The object has died, and nobody waits at a gate any more. */
export function dropHolds(): void {
  for (const hold of holds) hold.drop();
}

/** A place in the model's answers where each of them stops, until the model is let go. */
export class Hold {
  /** So many events of the answer come before it. */
  readonly after: number;
  #gate: Gate | null = null;
  #open = false;

  constructor(after: number) {
    this.after = after;
  }

  /** For a reply that stops here. */
  get acts(): Placed[] {
    if (this.#open) return [];
    this.#gate = createGate();
    holds.add(this);
    return [holdAt(this.after, this.#gate)];
  }

  /** What waits in an object that has died must not be let go. */
  drop(): void {
    this.#gate = null;
  }

  /** Only in the object may the model be let go. */
  open(): void {
    this.#open = true;
    this.#gate?.open();
  }
}

/** A call of a tool whose input comes in two pieces, however long it is. */
export function call(name: string, input: JsonObject): ReplyBlock {
  const json = JSON.stringify(input);
  return toolUse(name, input, { deltas: [json.slice(0, 10), json.slice(10)] });
}

/** How many answers of the model the request has: which step of a round it asks for. */
export function answersBefore({ body }: RecordedRequest): number {
  // The stand-in has checked its form.
  const { messages } = body as unknown as { messages: { role: string }[] };
  return messages.filter(({ role }) => role === "assistant").length;
}
