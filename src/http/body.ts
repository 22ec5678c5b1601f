import type { Json } from "../shared/rows.ts";
import { invalidField, ProblemError, tooLarge } from "./problems.ts";
import { scanJson } from "./scan-json.ts";

/** Arrays and objects inside one another. No request needs more; tool schemas come nowhere near. */
const MAX_DEPTH = 100;

/**
 * So much of a body that is too large is read and thrown away: a client that is still sending does
 * not see an answer, only a broken connection. Cloudflare itself refuses what is larger.
 */
const MAX_DRAINED_BYTES = 100 * 1024 * 1024;

/**
 * The text of a request's body, whatever its `Content-Type`. Bytes are counted as they arrive.
 *
 * @throws ProblemError 413 above `maxBytes`, 422 when the bytes are not UTF-8
 */
export async function readText(request: Request, maxBytes: number): Promise<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: false });
  const parts: string[] = [];
  let tooMuch = Number(request.headers.get("content-length")) > maxBytes;
  let bytes = 0;
  // Leaving the loop early cancels the body.
  for await (const chunk of request.body ?? []) {
    bytes += chunk.byteLength;
    tooMuch ||= bytes > maxBytes;
    if (bytes > MAX_DRAINED_BYTES) break;
    if (tooMuch) parts.length = 0;
    else parts.push(decode(decoder, chunk));
  }
  if (tooMuch) throw new ProblemError(tooLarge(maxBytes));
  parts.push(decode(decoder));
  return parts.join("");
}

function decode(decoder: TextDecoder, chunk?: Uint8Array): string {
  try {
    return chunk ? decoder.decode(chunk, { stream: true }) : decoder.decode();
  } catch {
    throw new ProblemError(invalidField("body", "string_unicode", "The body is not valid UTF-8"));
  }
}

/**
 * The JSON value of a request's body, with every string well-formed. An empty body is `empty`
 * where the route gives one, else an error.
 *
 * @example
 * const body = parse(TurnRequest, await readJson(c.req.raw, c.get("config").maxBodyBytes));
 *
 * @throws ProblemError 413 or 422
 */
export async function readJson(request: Request, maxBytes: number, empty?: Json): Promise<Json> {
  const text = await readText(request, maxBytes);
  if (text === "") {
    if (empty !== undefined) return empty;
    throw new ProblemError(invalidField("body", "missing", "Field required"));
  }
  const scan = scanJson(text, MAX_DEPTH);
  switch (scan.kind) {
    case "syntax":
      throw new ProblemError(
        invalidField(`body -> ${scan.offset}`, "json_invalid", "The body is not valid JSON"),
      );
    case "deep":
      throw new ProblemError(
        invalidField(
          `body -> ${scan.offset}`,
          "json_too_deep",
          `The body nests deeper than ${MAX_DEPTH} arrays and objects`,
        ),
      );
    case "ok":
      return wellFormed(JSON.parse(text));
  }
}

/**
 * `value` with lone surrogates replaced by U+FFFD, in names and strings alike. What needs no
 * change is not copied. A lone surrogate survives JSON, and the model's API refuses every request
 * that carries one; so it must not get into a transcript.
 */
export function wellFormed(value: Json): Json {
  if (typeof value === "string") return value.toWellFormed();
  if (Array.isArray(value)) {
    const items = value.map(wellFormed);
    return items.some((item, i) => item !== value[i]) ? items : value;
  }
  if (typeof value === "object" && value !== null) {
    const before = Object.entries(value);
    const after = before.map(([key, item]): [string, Json] => [
      key.toWellFormed(),
      wellFormed(item),
    ]);
    const same = after.every(([key, item], i) => key === before[i]?.[0] && item === before[i]?.[1]);
    return same ? value : Object.fromEntries(after);
  }
  return value;
}
