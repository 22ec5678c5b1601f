import type { ApiVersion, JsonObject, Problem } from "./wire.ts";
import { invalid } from "./wire.ts";

const MAX_BODY_BYTES = 32 * 1024 * 1024;
const VERSIONS: readonly ApiVersion[] = ["2023-06-01", "2026-10-21"];

/** Headers as a plain object with lower-case names, keys left out. */
export function recordHeaders(headers: Headers): Record<string, string> {
  const recorded: Record<string, string> = {};
  headers.forEach((value, name) => {
    const isSecret = name === "authorization" || name === "x-api-key" || name === "cookie";
    if (!isSecret) recorded[name] = value;
  });
  return recorded;
}

/** A key in either header; its value is not looked at. */
export function checkKey(headers: Headers): Problem | undefined {
  const bearer = /^Bearer\s+\S/i.test(headers.get("authorization") ?? "");
  if (bearer || (headers.get("x-api-key") ?? "").trim() !== "") return undefined;
  return {
    status: 401,
    type: "authentication_error",
    message: "authentication: an `authorization: Bearer` or `x-api-key` header is required",
  };
}

export function readVersion(headers: Headers): ApiVersion | Problem {
  const sent = headers.get("anthropic-version");
  if (sent === null) return invalid("anthropic-version: header is required");
  const version = VERSIONS.find((known) => known === sent);
  return version ?? invalid(`anthropic-version: "${sent}" is not a valid version`);
}

/** The form of every beta name; which of them the stand-in simulates is up to the rules. */
const BETA = /^[a-z][a-z0-9-]*-20\d\d-\d\d-\d\d$/;

export function readBetas(headers: Headers): ReadonlySet<string> | Problem {
  const sent = (headers.get("anthropic-beta") ?? "")
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");
  const unknown = sent.find((name) => !BETA.test(name));
  return unknown === undefined
    ? new Set(sent)
    : invalid(`Unexpected value(s) \`${unknown}\` for the \`anthropic-beta\` header.`);
}

export function checkSize(text: string): Problem | undefined {
  // A UTF-16 unit is at most three bytes of UTF-8.
  if (text.length * 3 <= MAX_BODY_BYTES) return undefined;
  if (text.length <= MAX_BODY_BYTES && new TextEncoder().encode(text).length <= MAX_BODY_BYTES) {
    return undefined;
  }
  return {
    status: 413,
    type: "request_too_large",
    message: "Request exceeds the maximum size",
  };
}

/** Parses a body; a lone surrogate anywhere makes it no JSON for the API. */
export function parseBody(text: string): { json: JsonObject[string] } | Problem {
  const half = loneSurrogate(text);
  if (half !== -1) {
    return invalid(
      `The request body is not valid JSON: no low surrogate in string: line 1 column ${half + 1} (char ${half})`,
    );
  }
  try {
    return { json: JSON.parse(text) };
  } catch (error) {
    return invalid(
      `The request body is not valid JSON: ${error instanceof Error ? error.message : "syntax error"}`,
    );
  }
}

/** Index of a `\ud83d`-like escape, or raw half, that has no partner; -1 where there is none. */
function loneSurrogate(text: string): number {
  if (!text.isWellFormed()) return text.search(/\p{Surrogate}/u);
  if (!/\\u[dD][89abAB]|\\u[dD][c-fC-F]/.test(text)) return -1;
  // An escaped backslash before `u` is no escape, so escapes are read one by one.
  const escapes = /\\(?:u([0-9a-fA-F]{4})|.)/g;
  let highAt = -1;
  let highEnd = -1;
  for (const match of text.matchAll(escapes)) {
    const unit = match[1] === undefined ? 0 : Number.parseInt(match[1], 16);
    if (highAt !== -1 && (match.index !== highEnd || unit < 0xdc00 || unit > 0xdfff)) return highAt;
    if (highAt === -1 && unit >= 0xdc00 && unit <= 0xdfff) return match.index;
    const isHigh = unit >= 0xd800 && unit <= 0xdbff;
    highAt = isHigh ? match.index : -1;
    highEnd = match.index + match[0].length;
  }
  return highAt;
}

/** The API's error envelope. */
export function errorResponse(
  problem: Problem,
  requestId: string,
  headers: Readonly<Record<string, string>> = {},
): Response {
  const { type, message, details } = problem;
  const body = {
    type: "error",
    error: { type, message, ...(details ? { details } : {}) },
    request_id: requestId,
  };
  return jsonResponse(body, requestId, problem.status, headers);
}

export function jsonResponse(
  body: unknown,
  requestId: string,
  status = 200,
  headers: Readonly<Record<string, string>> = {},
): Response {
  return new Response(JSON.stringify(body), {
    status,
    headers: { "content-type": "application/json", "request-id": requestId, ...headers },
  });
}
