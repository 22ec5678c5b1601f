/** `POST /api/v1/tokens/count`: an estimate from the text alone. */
import * as v from "valibot";
import type { HttpContext } from "../../http/context.ts";
import { readBody } from "./body.ts";
import { answer } from "./envelope.ts";
import { characters, Text } from "./fields.ts";

const MAX_TEXT = 1_000_000;
const CHARACTERS_PER_TOKEN = 4;

/** White space as Python has it, which clients of the original compare with: unlike `\s` here. */
const WORD =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: Python splits at these.
  /[^\t-\r\u001c-\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+/g;

export const CountTokens = v.strictObject({ text: Text(MAX_TEXT, 1) });

export interface TokenCount {
  characters: number;
  words: number;
  estimated_tokens: number;
}

export function countOf(text: string): TokenCount {
  const count = characters(text);
  let words = 0;
  for (const _ of text.matchAll(WORD)) words += 1;
  const estimated_tokens = Math.max(Math.floor(count / CHARACTERS_PER_TOKEN), words);
  return { characters: count, words, estimated_tokens };
}

export async function countTokens(c: HttpContext): Promise<Response> {
  const { request } = await readBody(c, CountTokens);
  return answer(c, countOf(request.text));
}
