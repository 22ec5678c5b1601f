import { expect } from "vitest";
import { isReturnable } from "../../src/model/blocks.ts";
import type { Json, JsonObject, Row } from "../../src/shared/rows.ts";
import { wellFormed } from "../../src/shared/well-formed.ts";
import type { RecordedRequest } from "../../src/standin/journal.ts";

interface Message {
  role: string;
  content: JsonObject[];
}

interface Sent {
  /** System, tools and model: what stays the same within an epoch. */
  frame: Json;
  messages: Message[];
}

/** A call that succeeded, with the request that it sent. */
interface Answered {
  epoch: number;
  request: Sent;
  at: number;
  answer: { block: JsonObject; kept: boolean }[];
  paused: boolean;
}

/**
 * Within an epoch the next request begins with the blocks of the last call that succeeded and of its
 * answer (`cache_control` removed); and every request is a valid transcript.
 */
export function checkRequests(rows: readonly Row[], requests: readonly RecordedRequest[]): void {
  const sent = requests.map(({ body }) => readRequest(body));
  const answered = matchAnswers(rows, requests, sent);
  for (const [i, request] of sent.entries()) {
    const last = answered.findLast(({ at }) => at < i);
    checkTranscript(request, last?.paused ?? false);
    const next = answered.find(({ at }) => at >= i);
    // Which epoch a failed request belongs to is known where both its neighbours are of one.
    if (!last || (next?.epoch ?? last.epoch) !== last.epoch) continue;
    if (!next && epochAfter(rows, last.epoch)) continue;
    expect(request.frame, `system, tools and model of request ${i}`).toEqual(last.request.frame);
    checkPrefix(last, request, i);
  }
}

function checkPrefix(last: Answered, request: Sent, i: number): void {
  const blocks = flat(request.messages);
  const { messages } = last.request;
  // Nothing was answered, so the next text joins the user message, which the API wants to stand
  // before a system message.
  const joins = messages.at(-1)?.role === "system" && !last.answer.some(({ kept }) => kept);
  const before = flat(joins ? messages.slice(0, -1) : messages);
  const differs = before.findIndex((one, n) => JSON.stringify(one) !== JSON.stringify(blocks[n]));
  if (differs >= 0) {
    const place = `block ${differs} of request ${i}, which begins with request ${last.at}`;
    expect(blocks[differs], place).toEqual(before[differs]);
  }
  let at = before.length;
  for (const { block, kept } of last.answer) {
    const same = JSON.stringify(blocks[at]) === JSON.stringify({ role: "assistant", block });
    if (same) at += 1;
    else if (kept)
      expect(blocks[at], `request ${i} goes on with the answer`).toEqual({
        role: "assistant",
        block,
      });
  }
}

/** A later row opens another epoch. */
const epochAfter = (rows: readonly Row[], epoch: number): boolean =>
  rows.some((row) => row.type === "context.cut" && row.seq > epoch && row.body.strip_thinking);

const flat = (messages: readonly Message[]) =>
  messages.flatMap(({ role, content }) => content.map((block) => ({ role, block })));

function readRequest(body: Json | undefined): Sent {
  // The stand-in has accepted it, so it has the form of a request.
  const { model, system = null, tools = null, messages } = unmarked(body ?? null) as JsonObject;
  return { frame: { model: model ?? null, system, tools }, messages: messages as never };
}

/** The value without any `cache_control`. */
function unmarked(value: Json): Json {
  if (Array.isArray(value)) return value.map(unmarked);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).filter(([name]) => name !== "cache_control");
  return Object.fromEntries(entries.map(([name, one]) => [name, unmarked(one)]));
}

/** Finds for each call that succeeded the request whose answer is in its rows. */
function matchAnswers(
  rows: readonly Row[],
  requests: readonly RecordedRequest[],
  sent: readonly Sent[],
): Answered[] {
  const answered: Answered[] = [];
  let from = 0;
  for (const end of rows) {
    if (end.type !== "call.ended" || end.body.end !== "ok") continue;
    const blocks = rows.filter(
      (row): row is BlockRow => "block" in row.body && row.body.call === end.body.call,
    );
    const content = JSON.stringify(blocks.map(({ body }) => body.block));
    const at = requests.findIndex(
      ({ outcome }, i) =>
        i >= from &&
        outcome.state === "answered" &&
        // Half characters, which no request may carry, are replaced in the rows.
        JSON.stringify(wellFormed(outcome.message?.content ?? null)) === content,
    );
    const request = sent[at];
    expect(request, `the request of call ${end.body.call}`).toBeDefined();
    from = at + 1;
    const started = rows[end.body.call - 1];
    if (!request || started?.type !== "call.started" || end.body.stop_reason === "refusal")
      continue;
    const paused = end.body.stop_reason === "pause_turn";
    const cut = paused || end.body.stop_reason === "max_tokens";
    const kept = blocks.map(({ body }) => isKept(body, cut) && !lacksResult(body, blocks));
    // Thinking at the end leads to nothing, and the API refuses it there.
    const used = blocks.findLastIndex(
      ({ body }, n) => !body.block.type.endsWith("thinking") && kept[n],
    );
    const answer = blocks.map(({ body }, n) => ({
      block: body.block,
      kept: n <= used && (kept[n] ?? false),
    }));
    answered.push({ epoch: started.body.epoch, request, at, answer, paused });
  }
  return answered;
}

type BlockRow = Extract<Row, { body: { block: unknown } }>;

/** Blocks that may be left out: cut ones, text without a word, and what a cut leaves without use. */
function isKept({ block, partial }: BlockRow["body"], cut: boolean): boolean {
  if (partial || !isReturnable(block)) return false;
  if (block.type === "text") return String(block.text).trim() !== "";
  return !(cut && block.type === "server_tool_use");
}

/** A server's call whose result the API would not take back. */
const lacksResult = ({ block }: BlockRow["body"], blocks: readonly BlockRow[]): boolean =>
  block.type === "server_tool_use" &&
  blocks.some(({ body: { block: one } }) => one.tool_use_id === block.id && !isReturnable(one));

function checkTranscript({ messages }: Sent, paused: boolean): void {
  const spoken = messages.filter(({ role }) => role !== "system").map(({ role }) => role);
  expect(spoken, "roles alternate").toEqual(
    spoken.map((_, i) => (i % 2 === 0 ? "user" : "assistant")),
  );
  for (const [i, { role, content }] of messages.entries()) {
    expect(content.length, "no message is empty").toBeGreaterThan(0);
    if (role !== "assistant") continue;
    const calls = content.filter(({ type }) => type === "tool_use").map(({ id }) => id);
    const next = messages[i + 1]?.content ?? [];
    const first = next.slice(0, calls.length).map((block) => block.tool_use_id);
    expect(first, "results come first, in the order of the calls").toEqual(calls);
  }
  const last = messages.at(-1)?.role;
  if (!paused) expect(last, "the last message is not the assistant's").not.toBe("assistant");
}
