import { isLight, jsonTexts } from "../shared/json-text.ts";
import { PIECE_UNITS } from "../shared/long-text.ts";
import type { HttpContext } from "./context.ts";

const encoder = new TextEncoder();

/** Answers with `value` as JSON. A message may have 16 MB: a long answer is written as it is read. */
export function answerJson(
  c: HttpContext,
  value: object,
  status: 200 | 201 | 202 = 200,
  headers: Record<string, string> = {},
): Response {
  if (isLight(value)) return c.json(value, status, headers);
  return c.body(streamOf(value), status, { ...headers, "content-type": "application/json" });
}

function streamOf(value: object): ReadableStream<Uint8Array> {
  const texts = jsonTexts(value, PIECE_UNITS);
  return new ReadableStream({
    pull(controller) {
      const { done, value } = texts.next();
      if (done) controller.close();
      else controller.enqueue(encoder.encode(value));
    },
  });
}
