/** What the prompts of a session cost: as they were billed, and as other ways would have billed them. */
import { PRICES, type Price, priceOf } from "../../src/model/prices.ts";
import type { JsonObject } from "../../src/shared/content.ts";
import { mix } from "../../src/standin/hash.ts";
import type { RecordedRequest } from "../../src/standin/journal.ts";
import { digestRequest } from "../../src/standin/tokens.ts";
import type { Message } from "../../src/standin/wire.ts";

/** Tokens of a prompt, by how they are paid for. */
interface Tokens {
  fresh: number;
  written: number;
  read: number;
}

/** One call. */
export interface Bill {
  billed: Tokens;
  /** Every block that any call before it has sent in the same place is read, all others are written. */
  perfect: Tokens;
  /** System and tools. */
  frame: number;
}

/** The parts of a request's body that are a prompt. */
interface Body {
  system?: JsonObject[];
  tools?: JsonObject[];
  messages: Message[];
}

/** The bills of all answered calls of one session, in order. */
export function billsOf(requests: readonly RecordedRequest[]): Bill[] {
  const sent = new Set<number>();
  return requests.flatMap(({ path, body, outcome }) => {
    if (path !== "/v1/messages") return [];
    if (outcome.state !== "answered") throw new Error(`a call ended ${outcome.state}`);
    // The stand-in has checked the request, and its usage has the API's form.
    const { system = [], tools = [], messages } = body as unknown as Body;
    const digests = digestRequest(tools, system, messages);
    const frame = sum([...digests.tools, ...digests.system]);
    let hash = 0;
    let prompt = 0;
    let read = 0;
    for (const block of [...digests.tools, ...digests.system, ...digests.messages.flat()]) {
      hash = mix(hash, block.hash);
      prompt += block.tokens;
      if (sent.has(hash)) read = prompt;
      else sent.add(hash);
    }
    const billed = billedIn(outcome.usage as unknown as Usage);
    if (billed.fresh + billed.written + billed.read !== prompt) {
      throw new Error("the bill is not of this prompt");
    }
    return [{ billed, perfect: { fresh: 0, written: prompt - read, read }, frame }];
  });
}

const sum = (blocks: readonly { tokens: number }[]): number =>
  blocks.reduce((total, { tokens }) => total + tokens, 0);

interface Usage {
  input_tokens: number;
  cache_creation_input_tokens: number;
  cache_read_input_tokens: number;
  /** Where a compaction stands. */
  iterations?: Usage[];
}

const billedIn = (usage: Usage): Tokens =>
  [usage, ...(usage.iterations ?? [])].reduce(
    (total, one) => ({
      fresh: total.fresh + one.input_tokens,
      written: total.written + one.cache_creation_input_tokens,
      read: total.read + one.cache_read_input_tokens,
    }),
    { fresh: 0, written: 0, read: 0 },
  );

const prompt = ({ perfect }: Bill): number => perfect.written + perfect.read;

/** US dollars of one call. */
const usd = ({ fresh, written, read }: Tokens, price: Price): number =>
  (fresh * price.input + written * price.cache_write_5m + read * price.cache_read) / 1_000_000;

/** US cents of all prompts of a session. */
export interface Costs {
  billed: number;
  perfect: number;
  uncached: number;
  /** With `frame` tokens of system and tools in place of its own, perfectly cached. */
  framed: (frame: number) => number;
}

export function costsOf(bills: readonly Bill[], model: string, at: number): Costs {
  const cents = (tokensOf: (bill: Bill) => Tokens) =>
    bills.reduce((total, bill) => {
      const price = priceOf(model, at, prompt(bill), PRICES);
      if (!price) throw new Error(`${model} has no price`);
      return total + usd(tokensOf(bill), price) * 100;
    }, 0);
  return {
    billed: cents(({ billed }) => billed),
    perfect: cents(({ perfect }) => perfect),
    uncached: cents((bill) => ({ fresh: prompt(bill), written: 0, read: 0 })),
    framed: (frame) =>
      cents(({ perfect: { written, read }, frame: own }) => {
        const more = frame - own;
        return read >= own
          ? { fresh: 0, written, read: read + more }
          : { fresh: 0, written: written + more, read };
      }),
  };
}
