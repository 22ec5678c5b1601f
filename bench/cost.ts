/**
 * What the prompts of long sessions cost, by the stand-in's bill, against perfect caching, no caching,
 * and the system and tools of the seeds. Tokens are counted, nothing is timed.
 */
import type { RecordedRequest } from "../src/standin/journal.ts";
import {
  compaction,
  type ReplyBlock,
  type Scripted,
  text,
  thinking,
  toolUse,
} from "../src/standin/replies.ts";
import { startStandinServer } from "../src/standin/server.ts";
import { createStandin } from "../src/standin/standin.ts";
import { type Bill, billsOf, type Costs, costsOf } from "./support/bill.ts";
import { json } from "./support/client.ts";
import { startLedge } from "./support/ledge.ts";
import type { Figure, Result } from "./support/results.ts";
import { createSession } from "./support/turns.ts";

const MODEL = "claude-sonnet-5-5";
/** Tokens of system and tools that the seeds' harness sends. */
const SEED_FRAME = 18_900;
const TOOL_CALLS = 60;
const CHAT_TURNS = 200;
const COMPACTIONS = 3;
const TURNS_BETWEEN = 15;

export default async function cost(): Promise<Result> {
  const tools = await bills(answerWithTools, (session) => turn(session, request(0)));
  const chat = await bills(chatAnswer, async (session) => {
    for (let n = 0; n < CHAT_TURNS; n++) await turn(session, request(n));
  });
  const compacted = await bills(chatAnswer, async (session) => {
    for (let round = 0; round <= COMPACTIONS; round++) {
      if (round > 0) await compact(session);
      for (let n = 0; n < TURNS_BETWEEN; n++) await turn(session, request(n));
    }
  });
  expectCalls(tools, TOOL_CALLS);
  expectCalls(chat, CHAT_TURNS);
  expectCalls(compacted, (COMPACTIONS + 1) * TURNS_BETWEEN + COMPACTIONS);
  const sessions = [
    { what: `a turn of ${TOOL_CALLS} calls with the built-in tools`, bills: tools },
    { what: `a chat of ${CHAT_TURNS} turns`, bills: chat },
    { what: `a chat that is compacted ${COMPACTIONS} times`, bills: compacted },
  ];
  return {
    name: "cost",
    figures: [
      {
        what: "system and built-in tools in each prompt",
        unit: "tokens",
        value: tools[0]?.frame ?? Number.NaN,
        baseline: { what: "the seeds", value: SEED_FRAME },
      },
      ...sessions.flatMap(({ what, bills }) => figures(what, costs(bills, MODEL))),
    ],
    notes: sessions.map(({ what, bills }) => remark(what, bills)),
  };
}

const costs = (bills: readonly Bill[], model: string): Costs => costsOf(bills, model, Date.now());

function figures(what: string, { billed, perfect, uncached, framed }: Costs): Figure[] {
  const against = (name: string, value: number): Figure => ({
    what: `${what}, prompts billed`,
    unit: "US cents",
    value: billed,
    baseline: { what: name, value },
  });
  return [
    against("perfect caching", perfect),
    against("no caching", uncached),
    against("the seeds' system and tools, perfectly cached", framed(SEED_FRAME)),
  ];
}

function remark(what: string, bills: readonly Bill[]): string {
  const { billed, perfect } = costs(bills, MODEL);
  const last = bills.at(-1)?.perfect ?? { written: 0, read: 0 };
  // A model whose cache is read at a tenth of the price and not at a twentieth.
  const tenth = costs(bills, "claude-sonnet-4-6");
  const ratios = {
    perfect: tenth.billed / tenth.perfect,
    uncached: tenth.billed / tenth.uncached,
    seeds: tenth.billed / tenth.framed(SEED_FRAME),
  };
  const shown = Object.entries(ratios).map(([name, ratio]) => `${name} × ${ratio.toFixed(4)}`);
  return [
    `${what}: ${bills.length} calls, the last prompt ${last.written + last.read} tokens,`,
    `× ${(billed / perfect).toFixed(4)} of perfect caching;`,
    `at the prices of claude-sonnet-4-6 $${(tenth.billed / 100).toFixed(4)}, ${shown.join(", ")}.`,
  ].join(" ");
}

function expectCalls({ length }: readonly Bill[], count: number): void {
  if (length !== count) throw new Error(`there were ${length} calls instead of ${count}`);
}

/** The bills of one session that `run` has a conversation in. */
async function bills(
  answer: (request: RecordedRequest) => Scripted,
  run: (session: string) => Promise<unknown>,
): Promise<Bill[]> {
  const standin = createStandin();
  standin.respond(answer);
  const model = await startStandinServer({ standin });
  const variables = { CC_API_MAX_TURNS: String(TOOL_CALLS * 2) };
  const ledge = await startLedge({ model: model.url, variables });
  try {
    await run(`${ledge.url}/api/sessions/${await createSession(ledge.url)}`);
    if (standin.unexpectedRefusals().length > 0) throw new Error("a request was refused");
    return billsOf(standin.requests);
  } finally {
    await ledge.close();
    await model.close();
  }
}

const WORDS = "the quick brown fox jumps over a lazy dog and runs along the river bank".split(" ");

/** `count` words, the same for the same seed. */
const words = (count: number, seed: number): string =>
  Array.from({ length: count }, (_, n) => WORDS[(n * 7 + seed * 3 + n * seed) % WORDS.length]).join(
    " ",
  );

/** What the user says: two or three sentences. */
const request = (n: number): string => `${n}: ${words(40, n)}`;

async function turn(session: string, input: string): Promise<void> {
  const { outcome } = await json<{ outcome: string }>(`${session}/turns`, { input });
  if (outcome !== "completed") throw new Error(`a turn ended ${outcome}`);
}

async function compact(session: string): Promise<void> {
  const { compacted } = await json<{ compacted: boolean }>(`${session}/compact`, {});
  if (!compacted) throw new Error("nothing was compacted");
}

interface Asked {
  compaction?: object;
  messages: { role: string; content: { type: string }[] }[];
}

/** The stand-in has checked the request. */
const askedBy = ({ body }: RecordedRequest): Asked => body as unknown as Asked;

function chatAnswer(request: RecordedRequest): Scripted {
  const { compaction: compacts, messages } = askedBy(request);
  if (compacts) return compaction(words(300, messages.length));
  return [thinking(words(30, messages.length)), text(words(120, messages.length))];
}

/** A call of a tool for each result so far, and an answer at last. */
function answerWithTools(request: RecordedRequest): Scripted {
  const results = askedBy(request)
    .messages.flatMap(({ content }) => content)
    .filter(({ type }) => type === "tool_result").length;
  const said = thinking(words(25, results));
  return results < TOOL_CALLS - 1 ? [said, step(results)] : [said, text(words(120, results))];
}

/** About 200 tokens with its result, as in the peers' session that the target was taken from. */
function step(n: number): ReplyBlock {
  const file_path = `/workspace/notes/chapter-${n - (n % 4)}.md`;
  switch (n % 4) {
    case 0:
      return toolUse("Write", { file_path, content: `start ${n}\n${words(60, n)}\nend ${n}\n` });
    case 1:
      return toolUse("Read", { file_path });
    case 2: {
      const new_string = `finish ${n}\n${words(40, n)}`;
      return toolUse("Edit", { file_path, old_string: `end ${n - 2}`, new_string });
    }
    default:
      return toolUse("Bash", { command: `cat ${file_path} && ls notes`, description: "Shows it" });
  }
}
