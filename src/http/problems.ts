/**
 * Errors on the wire: RFC 9457 problems. A `Problem` is data; whatever refuses a request makes
 * one, and `problemResponse` is the only place that turns it into a response.
 *
 * At this edge, what reads a request (body, fields, media, credentials) throws `ProblemError`;
 * `onError` answers it. A route may also return `respond(c, problem)`.
 */

import type { JsonObject } from "../shared/content.ts";
import { errorOf, writeLine } from "../shared/log-line.ts";
import type { HttpContext } from "./context.ts";

export const TITLES = {
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  409: "Conflict",
  412: "Precondition Failed",
  413: "Payload Too Large",
  415: "Unsupported Media Type",
  416: "Range Not Satisfiable",
  422: "Validation Error",
  429: "Too Many Requests",
  500: "Internal Server Error",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
  507: "Insufficient Storage",
} as const;

type ProblemStatus = keyof typeof TITLES;

/** One wrong field: where it is (`body -> input -> 1`), the rule in words, and the rule's name. */
export interface FieldError {
  field: string;
  message: string;
  type: string;
}

export interface Problem {
  status: ProblemStatus;
  /** Stable, snake_case: what a program reads. */
  code: string;
  /** What a person reads: which rule was broken and what to do. */
  detail: string;
  /** RFC 9457 `type`; `about:blank` when absent. */
  type?: string;
  errors?: readonly FieldError[];
  headers?: Readonly<Record<string, string>>;
  /** Further members of the body, such as `turn`. They never replace the standard ones. */
  extra?: JsonObject;
}

/** Thrown by what reads a request; `onError` answers with its problem. */
export class ProblemError extends Error {
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.detail);
    this.name = "ProblemError";
    this.problem = problem;
  }
}

/** A problem names at most so many fields; its `detail` has the full count. */
const MAX_ERRORS = 100;

/** 422 with the fields that are wrong. */
export const invalid = (errors: readonly FieldError[]): Problem => ({
  status: 422,
  code: "validation_error",
  detail: `${errors.length} validation error(s)`,
  errors: errors.slice(0, MAX_ERRORS),
});

/** 422 for one field. */
export const invalidField = (field: string, type: string, message: string): Problem =>
  invalid([{ field, message, type }]);

export const unauthorized = (detail: string): Problem => ({
  status: 401,
  code: "unauthorized",
  detail,
  headers: { "www-authenticate": "Bearer" },
});

export const notFound = (what: string): Problem => ({
  status: 404,
  code: "not_found",
  detail: `${what} not found`,
});

export const methodNotAllowed = (allow: readonly string[]): Problem => ({
  status: 405,
  code: "method_not_allowed",
  detail: `This path allows ${allow.join(", ")}`,
  headers: { allow: allow.join(", ") },
});

export const conflict = (code: string, detail: string): Problem => ({ status: 409, code, detail });

/** 409 for a cursor beyond the session's last row `head`. */
export const cursorAhead = (head: number): Problem => ({
  ...conflict("cursor_ahead", `The cursor is ahead of the session, whose last event is ${head}.`),
  extra: { last_id: head },
});

export const tooLarge = (maxBytes: number): Problem => ({
  status: 413,
  code: "payload_too_large",
  detail: `The request body is larger than ${maxBytes} bytes`,
});

/** 503; `retryAfterSeconds` when waiting helps. */
export const unavailable = (code: string, detail: string, retryAfterSeconds?: number): Problem => ({
  status: 503,
  code,
  detail,
  ...(retryAfterSeconds === undefined
    ? {}
    : { headers: { "retry-after": String(Math.ceil(retryAfterSeconds)) } }),
});

const INTERNAL: Problem = {
  status: 500,
  code: "internal_error",
  detail: "An unexpected error occurred",
};

/** Where a problem happened: the request's address, without its credentials, and its id. */
export interface ProblemPlace {
  instance: string;
  requestId: string;
}

/** How one surface says problems, on the paths that are its own. */
export interface ErrorForm {
  /** `/v1` is about `/v1` and whatever lies below it. Of several the longest holds. */
  path: string;
  response(problem: Problem, place: ProblemPlace): Response;
}

/** The form that holds on `path`; undefined where none does. */
export const formOn = (forms: readonly ErrorForm[], path: string): ErrorForm | undefined =>
  forms
    .filter((form) => path === form.path || path.startsWith(`${form.path}/`))
    .toSorted((a, b) => b.path.length - a.path.length)[0];

/** The response that says `problem`, as `application/problem+json`. */
export function problemResponse(problem: Problem, place: ProblemPlace): Response {
  const { status, code, detail, type = "about:blank", errors, headers, extra } = problem;
  const body = {
    ...extra,
    type,
    title: TITLES[status],
    status,
    detail,
    instance: place.instance,
    request_id: place.requestId,
    error: { code, message: detail },
    ...(errors ? { errors } : {}),
  };
  return Response.json(body, {
    status,
    headers: { ...headers, "content-type": "application/problem+json" },
  });
}

function placeOf(c: HttpContext): ProblemPlace {
  const url = new URL(c.req.url);
  // A stream ticket opens its session: it does not belong into a body that people paste around.
  url.searchParams.delete("ticket");
  return { instance: url.href, requestId: c.get("requestId") };
}

/** Answers with a problem, from inside a route. */
export function respond(c: HttpContext, problem: Problem): Response {
  c.set("problem", problem.code);
  const response = c.get("errorForm")?.response ?? problemResponse;
  return response(problem, placeOf(c));
}

/** `app.onError`: a thrown problem as it is; anything else as a 500 whose cause is in the log. */
export function onError(error: Error, c: HttpContext): Response {
  if (error instanceof ProblemError) return respond(c, error.problem);
  writeLine({
    event: "error",
    what: "a request",
    error: errorOf(error),
    request_id: c.get("requestId"),
    method: c.req.method,
    path: c.req.path,
  });
  return respond(c, INTERNAL);
}

/** `app.notFound`. */
export const onNotFound = (c: HttpContext): Response => respond(c, notFound("Path"));
