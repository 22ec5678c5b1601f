/** What must hold once everything is quiet, as far as clients can see. */
import { isDeepStrictEqual } from "node:util";
import { EMPTY_VIEW, reduce, type View } from "../../src/shared/view.ts";
import { eventOf } from "../client.ts";
import { Reader } from "../reader.ts";
import type { Chat, Post } from "./chat.ts";
import { taskName, tasksIn } from "./model.ts";
import { type AnswerBody, type ListElement, pause, type World } from "./world.ts";

/** How long a session may take to become quiet, and the account to hear of it. */
const QUIET_MS = 60_000;
const POLL_MS = 100;
const OUTCOMES = new Set(["turn.completed", "turn.interrupted", "turn.failed"]);

/** Waits until a session has nothing to do, and gives it; calls that others wait for are answered. */
export async function untilQuiet(world: World, chat: Chat): Promise<AnswerBody> {
  const end = performance.now() + QUIET_MS;
  for (;;) {
    const { body } = await world.ask(chat.label, chat.path);
    const queue = await world.ask(chat.label, `${chat.path}/queue`);
    const waiting = queue.body.data?.length ?? 0;
    if (body.status !== "running" && waiting === 0) return body;
    if (body.status === "awaiting_tool_results" && waiting > 0) {
      const results = (body.pending_tool_calls ?? []).map(({ id }) => ({
        tool_call_id: id,
        content: "late",
      }));
      const headers = { prefer: "wait=0" };
      const call = { method: "POST" as const, body: { results }, headers };
      await world.ask(chat.label, `${chat.path}/tool-results`, call);
    }
    if (performance.now() > end) {
      world.problem(`${chat.label} does not become quiet: ${body.status}, ${waiting} waiting`);
      return body;
    }
    await pause(POLL_MS);
  }
}

/** All events of a session. */
async function history(world: World, chat: Chat): Promise<ListElement[]> {
  const events: ListElement[] = [];
  for (let after = 0, more = true; more; ) {
    const path = `${chat.path}/events?after=${after}&limit=1000`;
    const { body } = await world.ask(chat.label, path);
    events.push(...(body.data ?? []));
    after = body.last_id ?? after;
    more = body.has_more ?? false;
  }
  return events;
}

/** A session for which nobody asked has come to its end without the call that it had lost. */
export async function checkAlone(world: World, chat: Chat): Promise<void> {
  const asked = Date.now();
  const last = (await history(world, chat)).at(-1);
  // To look at it wakes it, so what was written later does not count.
  const isOver = OUTCOMES.has(last?.type ?? "") && Date.parse(String(last?.created_at)) <= asked;
  if (!isOver) world.problem(`${chat.label} (${chat.id}) did not go on by itself`);
}

/** Checks one session that exists; gives the number of inputs that were accepted in it. */
export async function checkChat(world: World, chat: Chat, session: AnswerBody): Promise<number> {
  const events = await history(world, chat);
  const fail = (what: string) => world.problem(`${chat.label} (${chat.id}): ${what}`);
  const ids = events.map(({ id }) => Number(id));
  if (!isRising(ids)) fail(`the ids do not rise: ${ids}`);
  checkUsage(events, session, fail);
  const inputs = checkPosts(chat, events, fail);
  checkEnds(events, fail);

  const last = String(ids.at(-1));
  const fresh = new Reader();
  await fresh.visit(world.client.events(chat.id, "0"), events.at(-1)?.type ?? "", ({ id }) => {
    return id === last;
  });
  const view = events.reduce<View>((before, event) => reduced(before, event), EMPTY_VIEW);
  if (!isDeepStrictEqual(fresh.view, view)) fail("a new reader's view is not that of the pages");
  if (fresh.view.status !== session.status) {
    fail(`a new reader sees ${fresh.view.status}, the session says ${session.status}`);
  }
  await checkFollowers(chat, fresh, last, fail);
  for (const pages of chat.pages) {
    // A reader of pages may have stopped before the end.
    if (!isDeepStrictEqual(pages, events.slice(0, pages.length))) {
      fail("a reader of pages has seen other events");
    }
  }
  return inputs;
}

const isRising = (values: readonly number[]): boolean =>
  values.every((value, i) => i === 0 || value > (values[i - 1] ?? 0));

function reduced(view: View, { type, turn_id, data }: ListElement): View {
  // The same event as in a frame, under the names of a page.
  const frame = { id: "", event: String(type), data: { turn_id: turn_id ?? null, data } };
  const event = eventOf(frame as Parameters<typeof eventOf>[0]);
  return event ? reduce(view, event) : view;
}

type Fail = (what: string) => void;

/** Everybody who follows the session from its start has seen what a new reader sees. */
async function checkFollowers(chat: Chat, fresh: Reader, last: string, fail: Fail): Promise<void> {
  for (const [i, reader] of chat.followers.entries()) {
    const end = performance.now() + QUIET_MS;
    while (reader.cursor !== last && performance.now() < end) await pause(POLL_MS / 10);
    if (!isDeepStrictEqual(reader.view, fresh.view)) {
      fail(`the view of follower ${i} is ${JSON.stringify(reader.view)}`);
    }
    if (!isDeepStrictEqual(reader.rows, fresh.rows)) {
      const at = reader.rows.findIndex((row, k) => row !== fresh.rows[k]);
      fail(`follower ${i} saw ${reader.rows[at]} where the log has ${fresh.rows[at]}`);
    }
    checkDeltas(reader, `follower ${i}`, fail);
  }
}

/** Pieces of a message join to a part of its text from the beginning. */
function checkDeltas(reader: Reader, who: string, fail: Fail): void {
  for (const [id, { deltas, completed }] of reader.messages) {
    if (completed === null || completed.startsWith(deltas.join(""))) continue;
    const frames = reader.frames.filter(({ data }) => data.data?.id === id);
    const seen = frames.map((frame) => `${frame.id} ${JSON.stringify(frame.data.data?.text)}`);
    fail(`the deltas that ${who} saw of ${id} are not its text: ${seen.join(", ")}`);
  }
}

/** The session's figures are the sum of its calls, and each answer of the API is counted once. */
function checkUsage(events: readonly ListElement[], session: AnswerBody, fail: Fail): void {
  const sum: Record<string, number> = {};
  const requests: unknown[] = [];
  let cost = 0;
  for (const { type, data } of events) {
    if (type !== "call.completed" || !data) continue;
    if (data.request_id !== null) requests.push(data.request_id);
    cost += Number(data.cost_usd ?? 0);
    for (const [name, value] of Object.entries(data.usage ?? {})) {
      sum[name] = (sum[name] ?? 0) + Number(value);
    }
  }
  const { billed = {} } = session.usage ?? {};
  for (const name of new Set([...Object.keys(sum), ...Object.keys(billed)])) {
    if ((sum[name] ?? 0) !== (billed[name] ?? 0)) {
      fail(`${name} is ${billed[name]}, and the sum of its calls ${sum[name]}`);
    }
  }
  if (Math.abs(cost - (session.cost_usd ?? 0)) > 1e-9) {
    fail(`it cost ${session.cost_usd}, and its calls ${cost}`);
  }
  if (new Set(requests).size < requests.length) fail("an answer of the API is counted twice");
}

/** Each message stands in the log once if it was accepted, and not at all if it was refused. */
function checkPosts(chat: Chat, events: readonly ListElement[], fail: Fail): number {
  const inputs = events.filter(
    ({ type, data }) =>
      (type === "turn.started" && data?.input !== null) || type === "input.queued",
  );
  const written = inputs.flatMap(({ data }) => tasksIn(String(data?.input)).map(taskName));
  for (const post of chat.posts) {
    const name = taskName(post.task);
    const times = written.filter((one) => one === name).length;
    const due = { accepted: 1, refused: 0, open: -1 }[post.fate];
    if (times !== due) fail(`${name} was ${post.fate} and is there ${times} times`);
    if (post.result) checkResult(post, post.result, events, fail);
    if (post.stream) checkStream(post, post.stream, events, fail);
  }
  const results = events.filter(({ type }) => type === "tool_result.accepted");
  const calls = results.map(({ data }) => data?.tool_call_id);
  if (new Set(calls).size < calls.length) fail(`a tool call has two results: ${calls}`);
  return inputs.length + results.length;
}

/** What a client was told of its turn stands in the log. */
function checkResult(
  post: Post,
  told: AnswerBody,
  events: readonly ListElement[],
  fail: Fail,
): void {
  if (told.outcome === undefined) return;
  const name = taskName(post.task);
  const outcomes = events.filter(
    ({ type, turn_id, data }) =>
      OUTCOMES.has(type ?? "") &&
      turn_id === told.id &&
      data?.outcome === told.outcome &&
      data?.output_text === told.output_text,
  );
  if (outcomes.length === 0) fail(`${name} was told of a result that is not there`);
  if (told.outcome === "completed" && !post.steer && !told.output_text?.includes(name)) {
    fail(`the answer to ${name} is ${told.output_text}`);
  }
}

/** A message's own stream had all events of its turn up to its end: each once and in order. */
function checkStream(post: Post, stream: Reader, events: readonly ListElement[], fail: Fail): void {
  const name = taskName(post.task);
  const seen = stream.frames.flatMap(({ event, data }) => {
    // An event's own number; it is not the cursor where a row has several frames.
    const { id } = data;
    return typeof id === "number" && !event.endsWith(".delta") ? [{ id, event }] : [];
  });
  const ids = seen.map(({ id }) => id);
  if (!isRising(ids)) fail(`the stream of ${name} is not in order: ${ids}`);
  const [first = 0, last = 0] = [ids[0], ids.at(-1)];
  const turn = stream.frames.find(({ event }) => event === "turn.started")?.data.turn_id;
  const own = events.filter(
    ({ id, turn_id }) => turn_id === turn && Number(id) >= first && Number(id) <= last,
  );
  const missing = own.filter(({ id }) => !ids.includes(Number(id)));
  if (turn !== undefined && missing.length > 0) {
    fail(`the stream of ${name} lacks ${missing.map(({ id, type }) => `${id} ${type}`)}`);
  }
  const wrong = seen.filter(({ id, event }) => {
    return !events.some((one) => Number(one.id) === id && one.type === event);
  });
  if (wrong.length > 0) fail(`the stream of ${name} has ${JSON.stringify(wrong)}`);
  checkDeltas(stream, `the stream of ${name}`, fail);
}

/** What was accepted in a session ends before the session is deleted, as its follower has seen. */
export function checkDeletion(world: World, chat: Chat): void {
  for (const { frames, view } of chat.followers) {
    if (view.status !== "deleted") continue;
    const events = frames.map(({ id, event, data }) => {
      return { id, type: event, turn_id: data.turn_id ?? null, data: data.data ?? {} };
    });
    checkEnds(events, (what) => world.problem(`${chat.label}, deleted: ${what}`));
  }
}

/** Every input that started a turn or joined one has an outcome behind it, unless it was cancelled. */
function checkEnds(events: readonly ListElement[], fail: Fail): void {
  const open = new Set<unknown>();
  const waiting = new Set<unknown>();
  for (const { type = "", turn_id, data } of events) {
    if (type === "turn.started" || type === "turn.resumed" || type === "input.taken") {
      open.add(turn_id);
      waiting.delete(data?.input_id);
    }
    if (OUTCOMES.has(type)) open.delete(turn_id);
    if (type === "input.queued") waiting.add(data?.input_id);
    if (type === "input.cancelled") waiting.delete(data?.input_id);
  }
  if (open.size > 0) fail(`turns without an end: ${[...open]}`);
  if (waiting.size > 0) fail(`inputs that wait for ever: ${[...waiting]}`);
}

/** The account's list has every session once, as it is, and none that was deleted. */
export async function checkList(
  world: World,
  expected: ReadonlyMap<string, AnswerBody>,
): Promise<void> {
  const end = performance.now() + QUIET_MS / 2;
  for (;;) {
    const differences = await listDifferences(world, expected);
    if (differences.length === 0) return;
    if (performance.now() > end) {
      for (const difference of differences) world.problem(difference);
      return;
    }
    await pause(POLL_MS);
  }
}

async function listDifferences(
  world: World,
  expected: ReadonlyMap<string, AnswerBody>,
): Promise<string[]> {
  const listed: ListElement[] = [];
  for (let cursor = ""; ; ) {
    const { body } = await world.ask("", `/api/sessions?limit=100${cursor}`);
    listed.push(...(body.data ?? []));
    if (!body.has_more) break;
    cursor = `&cursor=${body.next_cursor}`;
  }
  const ids = listed.map(({ id }) => String(id));
  const differences = [...expected.keys()]
    .filter((id) => !ids.includes(id))
    .map((id) => `${id} is not in the list`);
  if (new Set(ids).size < ids.length) differences.push("the list has a session twice");
  for (const one of listed) {
    const session = expected.get(String(one.id));
    if (!session) {
      differences.push(`the list has ${one.id}, which is not a session of the workload`);
      continue;
    }
    for (const name of ["status", "title", "turn_count", "usage", "cost_usd"] as const) {
      if (!isDeepStrictEqual(one[name], session[name])) {
        const [a, b] = [one[name], session[name]].map((value) => JSON.stringify(value));
        differences.push(`${name} of ${one.id} is ${a} in the list and ${b} in the session`);
      }
    }
  }
  return differences;
}
