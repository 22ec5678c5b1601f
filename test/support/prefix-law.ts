import { expect } from "vitest";
import { isReturnable } from "../../src/model/blocks.ts";
import type { Json, JsonObject } from "../../src/shared/content.ts";
import type { Row } from "../../src/shared/rows.ts";
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
  /** What stands for the conversation before: the API's block, or a text. */
  summary: JsonObject | null;
  /** It asks for a summary, and not for an answer. */
  compacts: boolean;
  /** It does so in words. */
  asks: boolean;
}

/** A call that succeeded, with the request that it sent. */
interface Answered {
  epoch: number;
  call: number;
  request: Sent;
  at: number;
  answer: { block: JsonObject; kept: boolean }[];
  paused: boolean;
}

/**
 * Within an epoch the next request begins with the blocks of the last call that succeeded and of its
 * answer (`cache_control` removed), or, once these were compacted, with the summary and then those of
 * them that were kept; and every request is a valid transcript.
 */
export function checkRequests(rows: readonly Row[], requests: readonly RecordedRequest[]): void {
  const sent = requests.map(({ body }) => readRequest(body));
  const answered = matchAnswers(rows, requests, sent);
  checkCompactions(rows);
  for (const [i, request] of sent.entries()) {
    const last = answered.findLast(({ at }) => at < i);
    checkTranscript(request, (last?.paused ?? false) || request.compacts);
    checkOwn(request, i);
    checkSummary(rows, request);
    const next = answered.find(({ at }) => at >= i);
    // Which epoch a failed request belongs to is known where both its neighbours are of one.
    if (!last || (next?.epoch ?? last.epoch) !== last.epoch) continue;
    if (!next && epochAfter(rows, last.epoch)) continue;
    // A summary of our own opens an epoch, to which a request that failed may belong.
    if (request.summary?.type === "text" && !isSame(request.summary, last.request.summary))
      continue;
    expect(request.frame, `system, tools and model of request ${i}`).toEqual(last.request.frame);
    if (!isSame(request.summary, last.request.summary)) checkKept(rows, last, request, i);
    else if (request.compacts) checkCovered(last, request, i);
    else checkPrefix(last, request, i);
  }
}

const isSame = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

/** Each compaction that was asked for has one end. */
function checkCompactions(rows: readonly Row[]): void {
  const asked = rows.flatMap((row) => (row.type === "compaction.requested" ? [row.seq] : []));
  const ended = rows.flatMap((row) =>
    row.type === "context.compacted" || row.type === "compaction.ended" ? [row.body.request] : [],
  );
  // A client may wait for one while the log is read.
  expect(new Set(ended).size, "one end for each compaction").toBe(ended.length);
  expect(asked, "ends belong to compactions").toEqual(expect.arrayContaining(ended));
}

/** The summary that stands first is the newest at that time, as it was received. */
function checkSummary(rows: readonly Row[], { summary }: Sent): void {
  if (!summary) return;
  const known = rows.flatMap((row) => (row.type === "context.compacted" ? [row.body] : []));
  const found = known.some(({ block, summary: text }) =>
    summary.type === "compaction"
      ? isSame(block, summary)
      : String(summary.text).endsWith(`\n\n${text ?? block?.content}`),
  );
  expect(found, "the summary is one that the log has").toBe(true);
}

/** What was kept behind a summary of the API is what was sent before, thinking included. */
function checkKept(rows: readonly Row[], last: Answered, request: Sent, i: number): void {
  const row = rows.findLast(
    (one) => one.type === "context.compacted" && isSame(one.body.block, request.summary),
  );
  if (row?.type !== "context.compacted" || row.body.start > last.call) return;
  const kept = unasked(request).slice(1);
  const before = [
    ...flat(whole(last)),
    ...last.answer.flatMap(({ block, kept: is }) => (is ? [{ role: "assistant", block }] : [])),
  ];
  const from = before.findIndex((_, n) => {
    const rest = before.slice(n);
    const both = Math.min(rest.length, kept.length);
    // The next summary may cover a part of it.
    if (request.compacts) return isSame(kept.slice(0, both), rest.slice(0, both));
    return rest.length <= kept.length && isSame(rest, kept.slice(0, rest.length));
  });
  expect(from, `request ${i} goes on with the end of request ${last.at}`).toBeGreaterThan(0);
}

/** The blocks of a request without the question of a summary of our own. */
const unasked = ({ messages }: Sent) =>
  flat(messages).filter(({ block }) => !String(block.text).startsWith(QUESTION));

/** A conversation that is to be summarised is what was sent before, or the beginning of it. */
function checkCovered(last: Answered, request: Sent, i: number): void {
  const answer = last.answer.flatMap(({ block, kept }) =>
    kept ? [{ role: "assistant", block }] : [],
  );
  const before = [...flat(whole(last)), ...answer];
  const covered = unasked(request);
  const length = Math.min(covered.length, before.length);
  const place = `request ${i} summarises the beginning of request ${last.at}`;
  expect(covered.slice(0, length), place).toEqual(before.slice(0, length));
}

function checkPrefix(last: Answered, request: Sent, i: number): void {
  const blocks = flat(request.messages);
  const before = flat(whole(last));
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

/**
 * What stays as it was sent. Where nothing was answered the next text joins the user message, which
 * the API wants to stand before a system message.
 */
function whole({ request: { messages }, answer }: Answered): readonly Message[] {
  const joins = messages.at(-1)?.role === "system" && !answer.some(({ kept }) => kept);
  return joins ? messages.slice(0, -1) : messages;
}

/** A later row opens another epoch. */
const epochAfter = (rows: readonly Row[], epoch: number): boolean =>
  rows.some(
    (row) =>
      row.seq > epoch &&
      ((row.type === "context.cut" && row.body.strip_thinking) ||
        (row.type === "context.compacted" && row.body.method === "summary")),
  );

const flat = (messages: readonly Message[]) =>
  messages.flatMap(({ role, content }) => content.map((block) => ({ role, block })));

function readRequest(body: Json | undefined): Sent {
  // The stand-in has accepted it, so it has the form of a request.
  const { model, system = null, tools = null, messages } = unmarked(body ?? null) as JsonObject;
  const said = messages as unknown as Message[];
  const [first] = said[0]?.content ?? [];
  const isText = first?.type === "text" && String(first.text).startsWith(SUMMARY);
  const last = said.findLast(({ role }) => role === "user")?.content.at(-1);
  const asks = last?.type === "text" && String(last.text).startsWith(QUESTION);
  const compacts = asks || (body as JsonObject).compaction !== undefined;
  return {
    frame: { model: model ?? null, system, tools },
    messages: said,
    summary: (first?.type === "compaction" || isText ? first : null) ?? null,
    compacts,
    asks,
  };
}

const SUMMARY = "Summary of the conversation so far";
const QUESTION = "The conversation is about to be shortened";

/**
 * An instruction for one message stands once, behind that and what else was said with it; as a message
 * of the system, which is obeyed where it stands, nothing else was said since.
 */
function checkOwn({ messages }: Sent, i: number): void {
  const blocks = flat(messages);
  for (const [n, { role, block }] of blocks.entries()) {
    const [, own] = OWN.exec(String(block.text ?? "")) ?? [];
    if (own === undefined) continue;
    const before = blocks.slice(0, n);
    const at = before.findLastIndex((one) => one.block.text === own);
    expect(at, `${own}: its instruction stands behind it in request ${i}`).toBeGreaterThanOrEqual(
      0,
    );
    const between = before.slice(at + 1).map((one) => `${one.role} ${one.block.text ?? ""}`);
    expect(
      between.some((one) => one.startsWith("assistant")),
      "before any answer",
    ).toBe(false);
    if (role === "system") {
      expect(between.filter((one) => one.startsWith("user message"))).toEqual([]);
    }
    const again = blocks.filter((one) => one.block.text === block.text);
    expect(again, "once").toHaveLength(1);
  }
}

/** As the programs write it. */
const OWN = /^<system-reminder>For this message only: own of (message \d+)\.<\/system-reminder>$/;

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
    if (end.type !== "call.ended" || end.body.end !== "ok" || end.body.purpose) continue;
    const blocks = rows.filter(
      (row): row is BlockRow =>
        "call" in row.body && "i" in row.body && row.body.call === end.body.call,
    );
    const content = JSON.stringify(blocks.map(({ body }) => body.block));
    const at = requests.findIndex(
      ({ outcome }, i) =>
        i >= from &&
        !sent[i]?.compacts &&
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
    const cut = paused || CUT_SHORT.includes(end.body.stop_reason ?? "");
    const kept = blocks.map(({ body }) => isKept(body, cut) && !lacksResult(body, blocks));
    // Thinking at the end leads to nothing, and the API refuses it there.
    const used = blocks.findLastIndex(
      ({ body }, n) => !body.block.type.endsWith("thinking") && kept[n],
    );
    const answer = blocks.map(({ body }, n) => ({
      block: body.block,
      kept: n <= used && (kept[n] ?? false),
    }));
    const { call } = end.body;
    answered.push({ epoch: started.body.epoch, call, request, at, answer, paused });
  }
  return answered;
}

const CUT_SHORT = ["max_tokens", "model_context_window_exceeded"];

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
  const begins = messages[0]?.content[0]?.type === "compaction" ? 1 : 0;
  expect(spoken, "roles alternate").toEqual(
    spoken.map((_, i) => ((i + begins) % 2 === 0 ? "user" : "assistant")),
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
