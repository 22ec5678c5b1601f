/** The clients of a busy session: each is a loop that goes on over kills, as a good client would. */
import { ApiError, type Frame } from "../client.ts";
import { Reader } from "../reader.ts";
import { bodyOf, type Chat, keyOf, type Post } from "./chat.ts";
import type { Random } from "./random.ts";
import { AGAIN_MS, type Answer, isBroken, type ListElement, pause, type World } from "./world.ts";

/** Messages that one client sends to one session. */
const MESSAGES = 15;
/** Longest pause between two things that a client does. */
const IDLE_MS = 500;
/** How long an impatient client waits for its answer before it repeats the request. */
const IMPATIENCE_MS = 250;
const BUSY = { queue: 14, steer: 3, interrupt: 1, reject: 2 } as const;
/** Where a follower leaves: in messages, behind events, or behind events in mid-message. */
const LEAVES = { never: 4, anywhere: 2, events: 2, between: 4 } as const;
const ENDS = new Set(["turn.completed", "turn.interrupted", "turn.failed"]);

/** Sends messages as JSON and waits for each answer. */
export async function postJson(world: World, chat: Chat): Promise<void> {
  const random = world.random(`${chat.label} json`);
  for (let i = 0; i < MESSAGES && !world.stopping; i++) {
    await pause(random.between(0, IDLE_MS));
    const on_busy = random.pick(BUSY);
    const post = chat.post(world, "json", on_busy === "steer");
    // A request that was given up may still be taken after its repetition was refused.
    const isImpatient = on_busy !== "reject" && random.chance(0.2);
    const call = {
      method: "POST" as const,
      key: keyOf(post),
      body: { ...bodyOf(post), on_busy },
      ...(isImpatient ? { impatience: IMPATIENCE_MS } : {}),
    };
    const answer = await world.ask(chat.label, `${chat.path}/turns`, call);
    judge(world, post, answer);
    if (post.fate === "accepted" && random.chance(0.15)) {
      const again = await world.ask(chat.label, `${chat.path}/turns`, call);
      judgeAgain(world, post, answer, again);
    }
  }
}

/** What the answer to a message says of it. */
export function judge(world: World, post: Post, { status, body }: Answer): void {
  const code = body.error?.code ?? "";
  if (status === 200 || status === 202) {
    Object.assign(post, { fate: "accepted", result: body });
  } else if ((status === 502 || status === 503 || code === "input_cancelled") && body.turn) {
    Object.assign(post, { fate: "accepted", result: { id: body.turn } });
  } else if (code === "turn_in_progress") {
    post.fate = "refused";
  } else {
    world.problem(`${keyOf(post)} was answered ${status} ${code}`);
  }
}

/** A request that is sent again has the same answer as before, and says so. */
function judgeAgain(world: World, post: Post, first: Answer, again: Answer): void {
  const [a, b] = [first, again].map(({ status, body }) =>
    JSON.stringify([status, body.id, body.turn, body.outcome, body.output_text]),
  );
  if (a !== b || !again.replayed) {
    world.problem(`${keyOf(post)} was answered ${a}, and when it was sent again ${b}`);
  }
}

/** Sends messages and reads their streams. */
export async function postStreams(world: World, chat: Chat): Promise<void> {
  const random = world.random(`${chat.label} stream`);
  for (let i = 0; i < MESSAGES && !world.stopping; i++) {
    await pause(random.between(0, IDLE_MS));
    await postStream(world, chat, chat.post(world, "stream"), random);
  }
}

/** Reads the stream of one message; comes back with the last id when it breaks. */
async function postStream(world: World, chat: Chat, post: Post, random: Random): Promise<void> {
  const reader = new Reader();
  post.stream = reader;
  while (!isOver(reader) && !world.closed) {
    const turn = turnOf(reader);
    // Without a turn only the request itself can say what is its own.
    const stream =
      turn !== null && random.chance(0.4)
        ? upTo(world.client.events(chat.id, reader.cursor), (frame) => endsTurn(frame, turn))
        : ownStream(world, chat, post, reader);
    world.restarts.touched(chat.label);
    const status = await read(reader, stream);
    if (status !== null) return world.problem(`${keyOf(post)} was answered ${status}`);
    if (reader.frames.length > 0) post.fate = "accepted";
    if (!isOver(reader)) await pause(AGAIN_MS);
  }
}

/** The message is posted, for the first time or again. */
function ownStream(
  { client }: World,
  chat: Chat,
  post: Post,
  { frames, cursor }: Reader,
): AsyncGenerator<Frame> {
  const body = { ...bodyOf(post), stream: true };
  const seen = frames.length > 0 ? { "last-event-id": cursor } : {};
  return client.frames(`${chat.path}/turns`, body, { "idempotency-key": keyOf(post), ...seen });
}

/** The turn of a message's own stream, once it has begun. */
function turnOf(reader: Reader): string | null {
  const started = reader.frames.find(({ event }) => event === "turn.started");
  return started?.data.turn_id ?? null;
}

const endsTurn = ({ event, data }: Frame, turn: string | null): boolean =>
  ENDS.has(event) && data.turn_id === turn;

/** The stream of a message has come to its end. */
function isOver(reader: Reader): boolean {
  const turn = turnOf(reader);
  return reader.frames.some(
    (frame) => endsTurn(frame, turn) || frame.event === "done" || isFinalError(frame),
  );
}

const isFinalError = ({ event, data }: Frame): boolean =>
  event === "error" && data.retryable === false;

/**
 * Reads a stream to its end, or until its connection breaks. Gives the status of an answer that is
 * no stream, unless it asks to try again.
 */
async function read(reader: Reader, stream: AsyncGenerator<Frame>): Promise<number | null> {
  try {
    // No frame is of this type, so everything is read.
    await reader.visit(stream, "");
    return null;
  } catch (error) {
    if (error instanceof ApiError) return error.status === 503 ? null : error.status;
    if (isBroken(error)) return null;
    throw error;
  }
}

/** A stream that its reader leaves behind the frame for which `isLast` holds. */
async function* upTo(
  stream: AsyncGenerator<Frame>,
  isLast: (frame: Frame) => boolean,
): AsyncGenerator<Frame> {
  for await (const frame of stream) {
    yield frame;
    if (isLast(frame)) return;
  }
}

/**
 * Follows a session from its first event until all is over; sometimes leaves for a while.
 *
 * @param onFrame is told of each frame once the reader has it
 */
export async function follow(
  world: World,
  chat: Chat,
  name: string,
  onFrame: (frame: Frame, reader: Reader) => void = () => {},
): Promise<void> {
  const random = world.random(`${chat.label} ${name}`);
  const reader = new Reader();
  chat.followers.push(reader);
  while (!world.closed && reader.view.status !== "deleted") {
    const place = random.pick(LEAVES);
    let room = place === "between" ? 1 : random.between(1, 20);
    let left = false;
    const stream = upTo(world.client.events(chat.id, reader.cursor), (frame) => {
      onFrame(frame, reader);
      if (isAt(place, frame, reader)) room -= 1;
      left = room <= 0;
      return left;
    });
    world.restarts.touched(chat.label);
    const status = await read(reader, stream);
    if (status === 404 && chat.deleting) return;
    if (status !== null) return world.problem(`${name} of ${chat.label} was answered ${status}`);
    await pause(left ? random.between(0, IDLE_MS) * random.between(0, 1) : AGAIN_MS);
  }
}

/** The frame is one of those behind which a follower leaves. */
function isAt(place: keyof typeof LEAVES, { event }: Frame, { view }: Reader): boolean {
  const isPiece = event.endsWith(".delta");
  if (place === "between") return !isPiece && view.blocks.some(({ done }) => !done);
  return place === "anywhere" || (place === "events" && !isPiece);
}

/** Follows a session and answers its tool calls: at once, in parts, twice, or not at all. */
export function answerTools(world: World, chat: Chat): Promise<void> {
  const random = world.random(`${chat.label} tools`);
  return follow(world, chat, "tools", ({ event, data }, reader) => {
    const { outcome, tool_calls: calls } = data.data ?? {};
    if (event !== "turn.completed" || outcome !== "requires_action") return;
    // A message that waits behind the calls would wait for ever.
    const isWaitedFor = reader.view.queue.length > 0;
    if (!isWaitedFor && (world.stopping || random.chance(0.15))) return;
    // The event of a turn that waits has the calls that it waits for.
    const ids = (calls as { id: string }[]).map(({ id }) => id);
    const some = random.chance(0.3) ? ids.slice(0, 1) : ids;
    const answer = answerCalls(world, chat, some, random);
    chat.answers.push(answer.catch((error) => world.failed(`tools of ${chat.label}`, error)));
  });
}

async function answerCalls(world: World, chat: Chat, ids: string[], random: Random): Promise<void> {
  const twice = random.chance(0.3);
  await pause(random.between(0, IDLE_MS / 2));
  const call = {
    method: "POST" as const,
    key: `results-${chat.label}-${ids.join("-")}`,
    body: { results: ids.map((id) => ({ tool_call_id: id, content: `Result of ${id}` })) },
  };
  const answers: string[] = [];
  for (let i = 0; i < (twice ? 2 : 1); i++) {
    const { status, body } = await world.ask(chat.label, `${chat.path}/tool-results`, call);
    const isKnown = status === 200 || body.turn || body.error?.code === "call_settled";
    if (!isKnown && !chat.deleting) world.problem(`${call.key} was answered ${status}`);
    answers.push(JSON.stringify([status, body.id, body.outcome, body.output_text]));
  }
  if (new Set(answers).size > 1) world.problem(`${call.key} was answered ${answers.join(", ")}`);
}

/** Reads a session in pages, and waits for what comes. */
export async function readPages(world: World, chat: Chat): Promise<void> {
  const random = world.random(`${chat.label} pages`);
  const seen: ListElement[] = [];
  chat.pages.push(seen);
  for (let after = 0; !world.stopping; ) {
    const query = `after=${after}&limit=${random.between(1, 50)}&wait=${random.between(0, 1)}`;
    const { status, body } = await world.ask(chat.label, `${chat.path}/events?${query}`);
    if (status !== 200) return world.problem(`events?${query} was answered ${status}`);
    if ((body.last_id ?? 0) < after) world.problem(`last_id fell from ${after} to ${body.last_id}`);
    seen.push(...(body.data ?? []));
    after = body.last_id ?? after;
    await pause(random.between(0, IDLE_MS));
  }
}

/** Interrupts, cancels what waits, renames, and looks around. */
export async function meddle(world: World, chat: Chat): Promise<void> {
  const random = world.random(`${chat.label} meddler`);
  for (let i = 0; !world.stopping && i < MESSAGES; i++) {
    await pause(random.between(IDLE_MS, 4 * IDLE_MS));
    const what = random.pick({ interrupt: 3, clear: 1, rename: 2, cancel: 2, look: 2 });
    const answer = await meddleOnce(world, chat, what, i);
    if (answer.status !== 200 && answer.body.error?.code !== "not_queued") {
      world.problem(`${what} on ${chat.label} was answered ${answer.status}`);
    }
  }
}

async function meddleOnce(world: World, chat: Chat, what: string, i: number): Promise<Answer> {
  const { label, path } = chat;
  switch (what) {
    case "interrupt":
    case "clear": {
      const body = { cancel_queued: what === "clear" };
      const key = `interrupt-${label}-${i}`;
      return world.ask(label, `${path}/interrupt`, { method: "POST", key, body });
    }
    case "rename":
      return world.ask(label, path, { method: "PATCH", body: { title: `${label} ${i}` } });
    case "cancel": {
      const queue = await world.ask(label, `${path}/queue`);
      const [first] = queue.body.data ?? [];
      if (!first) return queue;
      return world.ask(label, `${path}/queue/${first.id}`, { method: "DELETE" });
    }
    default:
      return world.ask(label, `${path}/turns`);
  }
}
