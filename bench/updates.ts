/** How smoothly text comes, what it costs on the wire, and what a client gets that comes back. */
import { type Frame, sse } from "./support/client.ts";
import { startLedge } from "./support/ledge.ts";
import { prompt, startModelProcess } from "./support/model.ts";
import { type Figure, type Result, spread } from "./support/results.ts";
import { createSession, DirectClient, turn } from "./support/turns.ts";

const WORDS = 2_000;
const LEFT_AT = 1_635;
const UNITS_PER_WORD = 6;
/** About 500 tokens a second: faster than models write. */
const SCRIPT = { words: WORDS, pace: 8 };

export default async function updates(): Promise<Result> {
  const model = await startModelProcess();
  const ledge = await startLedge({ model: model.url });
  try {
    const session = await createSession(ledge.url);
    const through = await turn(ledge.url, session, SCRIPT);
    const direct = await new DirectClient(model.url).turn(SCRIPT);
    const shown = through.frames.filter(isText);
    const gaps = shown.slice(1).map((frame, n) => frame.at - (shown[n]?.at ?? 0));
    return {
      name: "updates",
      figures: [
        {
          what: `text updates per second, ${WORDS} words`,
          unit: "per s",
          value: perSecond(shown),
          baseline: {
            what: "direct",
            value: perSecond(direct.frames.filter(({ data }) => data.delta?.type === "text_delta")),
          },
        },
        { what: "between two updates", unit: "ms", value: spread(gaps) },
        {
          what: `bytes of the whole stream, ${WORDS} words`,
          unit: "bytes",
          value: bytes(through.frames),
          baseline: { what: "direct", value: bytes(direct.frames) },
        },
        {
          what: "of them text updates",
          unit: "bytes",
          value: bytes(shown),
          baseline: { what: "the text alone", value: text(shown).length },
        },
        ...(await comeBack(ledge.url)),
      ],
      notes: [`Frames of the turn: ${counts(through.frames)}`],
    };
  } finally {
    await ledge.close();
    await model.close();
  }
}

/** Leaves in mid-message, comes back with the id of the last frame, and reads to the turn's end. */
async function comeBack(ledge: string): Promise<Figure[]> {
  const session = `${ledge}/api/sessions/${await createSession(ledge)}`;
  const seen: Frame[] = [];
  for await (const frame of sse(`${session}/turns`, { input: prompt(SCRIPT), stream: true })) {
    seen.push(frame);
    if (isText(frame) && text(seen).length >= LEFT_AT * UNITS_PER_WORD) break;
  }
  const rest: Frame[] = [];
  const headers = { "last-event-id": seen.at(-1)?.id ?? "" };
  for await (const frame of sse(`${session}/events/stream`, undefined, { headers })) {
    rest.push(frame);
    if (frame.event === "turn.completed") break;
  }
  const whole =
    rest.find(({ event }) => event === "assistant.completed")?.data.data?.output_text ?? "";
  const [before, missing] = [text(seen), text(rest)];
  if (before + missing !== whole) throw new Error("the text is not what the model wrote");
  return [
    {
      what: `text sent to a client that left at word ${LEFT_AT} of ${WORDS}`,
      unit: "characters",
      value: missing.length,
      baseline: { what: "what it lacked", value: whole.length - before.length },
    },
    {
      what: "bytes of text updates sent to it",
      unit: "bytes",
      value: bytes(rest.filter(isText)),
    },
    {
      what: "bytes of all frames sent to it, the completed message and turn included",
      unit: "bytes",
      value: bytes(rest),
    },
  ];
}

const isText = (frame: Frame): boolean => frame.event === "assistant.delta";

const text = (some: readonly Frame[]): string =>
  some
    .filter(isText)
    .map(({ data }) => data.data?.text ?? "")
    .join("");

const bytes = (some: readonly Frame[]): number => some.reduce((sum, one) => sum + one.bytes, 0);

function perSecond(some: readonly Frame[]): number {
  const [first, last] = [some.at(0), some.at(-1)];
  return first && last ? ((some.length - 1) / (last.at - first.at)) * 1_000 : 0;
}

function counts(some: readonly Frame[]): string {
  const by = Object.entries(Object.groupBy(some, ({ event }) => event));
  return by.map(([event, list]) => `${list?.length} ${event}`).join(", ");
}
