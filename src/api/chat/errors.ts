/**
 * How errors are said below `/v1`: `{"error": …}`, as the clients of the Claude CLI server read them,
 * whatever the error. Ours have a `code` besides, for programs.
 */
import type { ErrorForm, Problem } from "../../http/problems.ts";

/** That server knows no 422. */
const statusOf = ({ status }: Problem): number => (status === 422 ? 400 : status);

/** A wrong field is named, as nothing else says which one it is. */
const textOf = ({ detail, errors = [] }: Problem): string =>
  errors.length === 0
    ? detail
    : errors.map(({ field, message }) => `${field}: ${message}`).join("; ");

const said = (problem: Problem, first: object = {}): Response =>
  Response.json(
    { ...problem.extra, ...first, error: textOf(problem), code: problem.code },
    { status: statusOf(problem), headers: { ...problem.headers } },
  );

export const CHAT_ERRORS: readonly ErrorForm[] = [
  { path: "/v1", response: (problem) => said(problem) },
  // Its own clients look at `status` first.
  { path: "/v1/health", response: (problem) => said(problem, { status: "error" }) },
];
