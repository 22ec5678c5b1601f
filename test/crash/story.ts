import { expect } from "vitest";
import { eventObject } from "../../src/api/cc/encode.ts";
import type { Json, JsonObject } from "../../src/shared/content.ts";
import { atRow, parseCursor } from "../../src/shared/cursor.ts";
import type { Event } from "../../src/shared/events.ts";
import { eventsOf } from "../../src/shared/row-events.ts";
import type { Row } from "../../src/shared/rows.ts";
import { promptTokens, type Usage } from "../../src/shared/usage.ts";
import { EMPTY_VIEW, reduce, type View } from "../../src/shared/view.ts";
import { type Frame, get } from "../api/cc/server.ts";
import type { Client } from "./client.ts";
import { filesOf } from "./writes.ts";

/** What a client can know of a session in the end. */
export interface Story {
  events: Json[];
  view: Json;
  /** What the API answers about it. */
  reads: Json[];
  /** What became of each turn that was waited for, and each answer to a request that changes something. */
  ends: Json[];
  /** What each response showed. */
  responses: Json[][];
  /** The files by their paths; none when the session was deleted. */
  files: Record<string, string>;
}

/** An event of the history, as `GET /events` and the streams show it. */
export interface Told {
  id: number;
  type: string;
  turn_id: string | null;
  data: JsonObject;
}

/** The history of a deleted session, out of its last rows. */
export function lastHistory(path: string, rows: readonly Row[]): Told[] {
  const id = path.replace("/api/sessions/", "");
  let view = EMPTY_VIEW;
  return rows.flatMap((row) => {
    const events = eventsOf(row, view);
    view = events.reduce(reduce, view);
    // As it goes over the wire.
    return events.map((event): Told => JSON.parse(JSON.stringify(eventObject(id, row, event))));
  });
}

/** The whole history. */
export async function history(path: string): Promise<Told[]> {
  const page = await (await get(`${path}/events?limit=1000`)).json<{
    data: Told[];
    has_more: boolean;
  }>();
  expect(page.has_more, "one page has it all").toBe(false);
  return page.data;
}

/**
 * Everything that a client can know, told without the names that depend on lost attempts. `session` is
 * what the API says of it; null when it was deleted. `vague`: prompts may have other results of tools.
 */
export async function story(
  client: Client,
  events: readonly Told[],
  session: JsonObject | null,
  vague: boolean,
): Promise<Story> {
  const names = new Names(vague || events.some(({ type }) => type === "turn.interrupted"));
  const plain = (all: readonly Json[]): Json[] => all.map((one) => names.plain(one));
  return {
    events: plain(
      events.filter(isLasting).map(({ type, turn_id, data }) => ({ type, turn_id, data })),
    ),
    // Plain data by construction; the interface has no index signature.
    view: names.plain(viewOf(events) as unknown as Json),
    reads: session ? plain([session, ...(await reads(client.path))]) : [],
    ends: plain([...client.ends.map((end) => ({ ...end })), ...client.answers]),
    // Who has to connect again while the session is deleted sees nothing of its end.
    responses: session ? client.responses.map(({ frames }) => plain(shown(frames))) : [],
    files: session ? await client.platform.inside(({ storage }) => filesOf(storage.sql)) : {},
  };
}

/** The events of a response without previews, and how it ended. */
const shown = (frames: readonly Frame[]): Json[] =>
  frames
    .filter(({ event = "", data }) => !DELTAS.has(event) && isLasting(data as unknown as Told))
    .map(({ event = "", data }) => (FLAT.has(event) ? { event, ...data } : event));

async function reads(path: string): Promise<JsonObject[]> {
  const read = async (what: string): Promise<JsonObject> => (await get(`${path}${what}`)).json();
  const list = await read("/turns?limit=100");
  // As the API shows it.
  const turns = list.data as { id: string }[];
  return [
    await read("/queue"),
    list,
    ...(await Promise.all(turns.map(({ id }) => read(`/turns/${id}`)))),
  ];
}

/** The calls of tools whose results are not known. */
export const unknownCalls = ({ events }: Story): Set<string> =>
  new Set(
    events.flatMap((event) => {
      const { type, data } = event as unknown as Told;
      return type === "tool.completed" && data.status === "unknown" ? [String(data.id)] : [];
    }),
  );

/** A story without the results of some calls, and without the files in the folders that are theirs. */
export function without(
  { events, files, ...story }: Story,
  calls: ReadonlySet<string>,
  folders: Readonly<Record<string, string>>,
): Story {
  const gone = [...calls].map((call) => folders[call] || call);
  const isGone = (path: string) => gone.some((one) => path === one || path.startsWith(`${one}/`));
  return {
    ...story,
    events: events.map((event) => {
      const { type, data } = event as unknown as Told;
      const told = type === "tool.completed" && calls.has(String(data.id));
      return told ? { type, id: data.id ?? null } : event;
    }),
    files: Object.fromEntries(Object.entries(files).filter(([path]) => !isGone(path))),
  };
}

/** An attempt that was lost or failed leaves rows that another run does not have. */
function isLasting({ type, data = {} }: Told): boolean {
  if (type === "turn.retrying") return false;
  // An interrupt keeps what there still was of a text.
  if (data.partial === true) return false;
  return type !== "call.completed" || data.end === "ok" || data.end === "interrupted";
}

/** Fields that hold times, figures that lost attempts add to, and numbers of rows. */
const SHIFTING = new Set([
  "created_at",
  "updated_at",
  "modified_at",
  "duration_ms",
  "ms",
  "usage",
  "cost_usd",
  "spent_usd",
  "request_id",
  "cache_miss",
  "last_event_id",
  "cursor",
]);

const ID = /\b(turn|input)_(\d+)\b|\b(?:msg|call)_(\d+)_(\d+)\b|\bsess_[0-9A-Z]{26}\b/g;

/** Gives rows names by their order, which no lost attempt changes. */
class Names {
  /** A prompt has what was kept of an interrupted text, or a result that is not known. */
  readonly #vague: boolean;
  readonly #inputs = new Map<string, number>();
  readonly #calls = new Map<string, number>();

  constructor(vague: boolean) {
    this.#vague = vague;
  }

  plain(value: Json): Json {
    if (typeof value === "string") return value.replace(ID, (...found) => this.#name(found));
    if (Array.isArray(value)) return value.map((one) => this.plain(one));
    if (typeof value !== "object" || value === null) return value;
    const ok = value.end === "ok" ? { used: this.#used(value.usage) } : {};
    const entries = Object.entries(value)
      .filter(([name]) => !SHIFTING.has(name) && name !== "call")
      .map(([name, one]): [string, Json] => [name, this.plain(one)]);
    // An interrupt keeps what there still was of a text.
    const partial = value.outcome === "interrupted" ? { output_text: "" } : {};
    return { ...Object.fromEntries(entries), ...ok, ...partial };
  }

  /** The tokens of an answer, wherever its prompt came from: a lost attempt may have filled the cache. */
  #used(usage: Json | undefined): Json {
    // As the API shows it.
    const figures = usage as unknown as Usage;
    const { output_tokens } = figures;
    return this.#vague
      ? { output_tokens }
      : { output_tokens, prompt_tokens: promptTokens(figures) };
  }

  #name([whole, kind, input, call, i]: (string | number | undefined)[]): string {
    if (input !== undefined) return `${kind} ${numberOf(this.#inputs, String(input))}`;
    if (call !== undefined) return `block ${numberOf(this.#calls, String(call))}.${i}`;
    return String(whole).startsWith("sess_") ? "session" : String(whole);
  }
}

function numberOf(known: Map<string, number>, key: string): number {
  const number = known.get(key) ?? known.size + 1;
  known.set(key, number);
  return number;
}

/** The view that a client comes to who reads the history. */
export const viewOf = (events: readonly Told[]): View =>
  events.reduce((view, event) => reduce(view, eventOf(event)), EMPTY_VIEW);

/** The wire form of an event is made from it. */
const eventOf = ({ type, turn_id, data }: Told): Event =>
  ({ type, turn: turn_id, data }) as unknown as Event;

const DELTAS = new Set(["assistant.delta", "thinking.delta", "tool_call.delta", "tool.output"]);
/** Frames that stand only at the end of a response. */
const FLAT = new Set(["turn.response", "done", "error"]);

/**
 * Checks a stream against the history: cursors rise, each event came once and as it is kept, and
 * what was shown of a block while it was written is the beginning of it.
 */
export function checkFrames(frames: readonly Frame[], events: readonly Told[], what: string): View {
  // What a tool prints has the cursor of the row before it, and is not kept.
  const lasting = frames.filter(({ event }) => event !== "tool.output");
  const cursors = lasting.map(({ id = "" }) => id);
  for (const [i, cursor] of cursors.entries()) {
    const before = cursors[i - 1];
    if (before !== undefined && order(before) >= order(cursor)) {
      expect(cursors, `${what}: ${cursor} comes after ${before}`).toEqual([]);
    }
  }
  const kept = new Map(events.map((event) => [event.id, event]));
  const texts = new Map<string, string>();
  const seen = new Set<number>();
  let view = EMPTY_VIEW;
  for (const { event = "", data } of lasting) {
    if (FLAT.has(event)) continue;
    // Everything else has the form of an event.
    const told = data as unknown as Told;
    view = reduce(view, eventOf(told));
    const open = view.blocks.filter(({ done }) => !done).map(({ id }) => callOf(id));
    expect(new Set(open).size, `${what}: texts of two attempts`).toBeLessThanOrEqual(1);
    if (DELTAS.has(event)) {
      const { id, text, arguments: json } = told.data;
      texts.set(String(id), (texts.get(String(id)) ?? "") + String(text ?? json));
      continue;
    }
    expect(seen.has(told.id), `${what}: ${event} ${told.id} came twice`).toBe(false);
    seen.add(told.id);
    expect(told, `${what}: ${event} ${told.id}`).toEqual(kept.get(told.id));
  }
  for (const { data } of events) {
    const whole = data.output_text ?? data.text ?? data.arguments;
    const shown = texts.get(String(data.id));
    if (typeof whole !== "string" || shown === undefined) continue;
    expect(whole.startsWith(shown), `${what}: "${shown}" was shown of "${whole}"`).toBe(true);
  }
  return view;
}

/** Sorts cursors: behind a row come the previews, and then the first frames of the next row. */
function order(text: string): string {
  const cursor = parseCursor(text) ?? atRow(0);
  const rest =
    cursor.kind === "row"
      ? [0, 0]
      : cursor.kind === "preview"
        ? [1, cursor.offset]
        : [2, cursor.frames];
  return [cursor.seq, ...rest].map((n) => String(n).padStart(9, "0")).join(" ");
}

/** The attempt in the id of a block, `<kind>_<attempt>_<block>`. */
const callOf = (id: string): string => id.split("_")[1] ?? "";

/** The ids of events that a stream showed. */
export const shownIn = (frames: readonly Frame[]): number[] =>
  frames
    .filter(({ event = "" }) => !FLAT.has(event) && !DELTAS.has(event))
    .map(({ data }) => Number(data.id));
