/** What clients do with a session that has a past, each in milliseconds. */
import { type Frame, json, now, sse } from "./client.ts";
import { prompt } from "./model.ts";
import { timed } from "./turns.ts";

/** Where a session is read. */
export interface Places {
  /** The session's address. */
  url: string;
  /** The last row. */
  last: number;
  /** The first row of a turn in the middle, and that turn. */
  middle: number;
  turn: string;
  /** Where the client was before. */
  cursor: string;
}

export interface Read {
  what: string;
  /** What has to be so before, which takes no time of it; gives the client's cursor. */
  before?: (at: Places) => Promise<string>;
  time: (at: Places) => Promise<number>;
}

/** Events of one page: three turns, or nearly. */
const PAGE = 15;
/** A client leaves when it has so many characters. */
const LEAVES_AFTER = 100;

export const session: Read = { what: "`GET /api/sessions/{id}`", time: ({ url }) => get(url) };

export const turns: Read = {
  what: "`GET …/turns?limit=20`",
  time: ({ url }) => get(`${url}/turns?limit=20`),
};

export const middleTurns: Read = {
  what: "`GET …/turns?limit=20&cursor=…` in the middle",
  time: ({ url, turn }) => get(`${url}/turns?limit=20&cursor=${turn}`),
};

export const turn: Read = {
  what: "`GET …/turns/{turn}`",
  time: ({ url, turn }) => get(`${url}/turns/${turn}`),
};

export const firstPage: Read = {
  what: "`GET …/events`, first page",
  time: ({ url }) => get(`${url}/events?limit=${PAGE}`),
};

export const middlePage: Read = {
  what: "`GET …/events`, a page in the middle",
  time: ({ url, middle }) => get(`${url}/events?limit=${PAGE}&after=${middle - 1}`),
};

export const lastPage: Read = {
  what: "`GET …/events`, last page",
  time: ({ url, last }) => get(`${url}/events?limit=${PAGE}&after=${last - PAGE}`),
};

export const stream: Read = {
  what: "`GET …/events/stream` at the end, until it is open",
  time: ({ url, last }) => until(`${url}/events/stream?after=${last}`, () => true),
};

export const middleStream: Read = {
  what: "`GET …/events/stream` from the middle, first event",
  time: ({ url, middle }) =>
    until(`${url}/events/stream?after=${middle - 1}`, ({ id }) => id !== null),
};

export const firstText: Read = {
  what: "first text of a new turn",
  time: async ({ url }) => (await timed(turnOf(url, { words: 5 }))).first,
};

export const comingBack: Read = {
  what: "coming back in mid-message, next text",
  before: async ({ url }) => {
    let cursor = "";
    let read = 0;
    for await (const frame of turnOf(url, { words: 5_000, pace: 5 })) {
      cursor = frame.id ?? cursor;
      read += isText(frame) ? (frame.data.data?.text?.length ?? 0) : 0;
      if (read >= LEAVES_AFTER) break;
    }
    return cursor;
  },
  time: ({ url, cursor }) => until(`${url}/events/stream`, isText, { "last-event-id": cursor }),
};

/** Of the turn that `comingBack` leaves open. */
export const interrupt: Read = {
  what: "interrupting that turn",
  time: async ({ url }) => {
    const began = now();
    const { interrupted } = await json<{ interrupted: boolean }>(`${url}/interrupt`, {});
    if (!interrupted) throw new Error("nothing was running");
    return now() - began;
  },
};

const isText = ({ event }: Frame): boolean => event === "assistant.delta";

const turnOf = (url: string, script: { words: number; pace?: number }) =>
  sse(`${url}/turns`, { input: prompt(script), stream: true });

async function get(url: string): Promise<number> {
  const began = now();
  await json(url);
  return now() - began;
}

/** From the request to the first frame of this kind; then the client leaves. */
async function until(
  url: string,
  isIt: (frame: Frame) => boolean,
  headers: Record<string, string> = {},
): Promise<number> {
  const began = now();
  for await (const frame of sse(url, undefined, { headers })) {
    if (isIt(frame)) return frame.at - began;
  }
  throw new Error(`${url} ended`);
}
