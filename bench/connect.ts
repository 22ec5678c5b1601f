/** What connecting to a long session costs, and what its length does to the next turn. */
import { json, now, sse } from "./support/client.ts";
import { startLedge } from "./support/ledge.ts";
import { startModelProcess } from "./support/model.ts";
import { type Figure, paired, type Result, spread } from "./support/results.ts";
import { createSession, DirectClient, turn } from "./support/turns.ts";

const TURNS = 100;
const WORDS = 2_000;
const RUNS = 20;
/** Turns whose first text is compared: the first ones after warming up, and the last ones. */
const COMPARED = 5;

export default async function connect(): Promise<Result> {
  const model = await startModelProcess();
  const ledge = await startLedge({ model: model.url });
  try {
    const id = await createSession(ledge.url);
    const client = new DirectClient(model.url);
    const first: { ledge: number; direct: number }[] = [];
    for (let n = 0; n < TURNS; n++) {
      const script = { words: WORDS, delta: 600, tag: n };
      const through = await turn(ledge.url, id, script);
      const direct = await client.turn(script);
      first.push({ ledge: through.first, direct: direct.first });
    }
    const session = `${ledge.url}/api/sessions/${id}`;
    const { last_event_id: last } = await json<{ last_event_id: number }>(session);
    const turns = (what: string, some: typeof first): Figure =>
      paired(
        what,
        some.map((one) => one.ledge),
        "direct",
        some.map((one) => one.direct),
      );
    return {
      name: "connect",
      figures: [
        ...(await costOf("`GET /api/sessions/{id}`", () => get(session))),
        ...(await costOf("the last 20 turns, `GET …/turns?limit=20`", () =>
          get(`${session}/turns?limit=20`),
        )),
        ...(await costOf("a page, `GET …/events?limit=50`", () =>
          get(`${session}/events?limit=50`),
        )),
        ...(await costOf("`GET …/events/stream` from the last cursor", () =>
          stream(`${session}/events/stream?after=${last}`, () => true),
        )),
        ...(await costOf("the whole history, `GET …/events/stream?after=0`", () =>
          stream(`${session}/events/stream?after=0`, (cursor) => cursor === String(last)),
        )),
        turns(`first text, turns 2 to ${COMPARED + 1}`, first.slice(1, COMPARED + 1)),
        turns(`first text, turns ${TURNS - COMPARED + 1} to ${TURNS}`, first.slice(-COMPARED)),
      ],
      notes: [`The session has ${TURNS} turns of ${WORDS} words; its last event is ${last}.`],
    };
  } finally {
    await ledge.close();
    await model.close();
  }
}

async function costOf(what: string, call: () => Promise<{ bytes: number }>): Promise<Figure[]> {
  const times: number[] = [];
  let bytes = 0;
  for (let n = 0; n < RUNS; n++) {
    const began = now();
    bytes = (await call()).bytes;
    times.push(now() - began);
  }
  return [
    { what, unit: "ms", value: spread(times) },
    { what: "the same", unit: "bytes", value: bytes },
  ];
}

async function get(url: string): Promise<{ bytes: number }> {
  const response = await fetch(url);
  const text = await response.text();
  if (!response.ok) throw new Error(`${response.status} ${url}: ${text}`);
  return { bytes: Buffer.byteLength(text) };
}

/** Reads a stream until it has brought the frame with this cursor. */
async function stream(url: string, isLast: (cursor: string | null) => boolean) {
  let bytes = 0;
  for await (const frame of sse(url)) {
    bytes += frame.bytes;
    if (isLast(frame.id)) break;
  }
  return { bytes };
}
