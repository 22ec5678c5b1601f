/** How routes ask for a session's files: calls, and refusals as problems. */
import type { HttpContext } from "../../http/context.ts";
import {
  conflict,
  invalidField,
  notFound,
  type Problem,
  ProblemError,
  unavailable,
} from "../../http/problems.ts";
import { repeatedly } from "../../http/submit.ts";
import type { SessionStub } from "../../session/calls.ts";
import type { Asked, FileAnswer, FileCalls, FileError } from "../../session/file-calls.ts";
import { found } from "./address.ts";

/** Asks the session, and again when it died over the call; `again` says that it may be done. */
export async function ask<K extends keyof FileCalls>(
  session: SessionStub,
  call: K,
  asked: Asked<K> | ((again: boolean) => Asked<K>),
  field: string,
) {
  let again = false;
  const answer = await repeatedly(() => {
    const now = typeof asked === "function" ? asked(again) : asked;
    again = true;
    return session.files(call, now);
  });
  return granted(found(answer), field);
}

/**
 * Asks for what may be done only once. The call has its key with it, so it is repeated like any other,
 * and a request that comes again is told so.
 */
export async function askOnce<K extends "move" | "directory" | "clone">(
  c: HttpContext,
  session: SessionStub,
  call: K,
  asked: Asked<K>,
  field: string,
) {
  const answer = found(await repeatedly(() => session.files(call, asked)));
  noteReplay(c, answer);
  return granted(answer, field);
}

/** Tells a client whose key came before that nothing was done twice. */
export function noteReplay(c: HttpContext, answer: FileAnswer<keyof FileCalls | "upload">): void {
  const keyed = c.req.header("idempotency-key") !== undefined;
  if (keyed && answer.ok && answer.replayed) c.header("idempotency-replayed", "true");
}

/** What was answered; a refusal becomes a problem that names `field` where a field is at fault. */
export function granted<K extends keyof FileCalls | "upload">(
  answer: FileAnswer<K>,
  field: string,
): Extract<FileAnswer<K>, { ok: true }>["value"] {
  if (!answer.ok) throw new ProblemError(fileProblem(answer.error, field));
  return answer.value;
}

const STATUS: Readonly<Record<string, Problem["status"]>> = {
  not_a_file: 409,
  not_a_directory: 409,
  not_empty: 409,
  already_exists: 409,
  changed: 409,
  precondition_failed: 412,
  file_too_large: 413,
  archive_too_large: 413,
  archive_invalid: 422,
  archive_unsafe: 422,
  too_many_files: 507,
  workspace_full: 507,
  session_full: 507,
};

/** Also of the reasons of a failed clone, which may be any text. */
const statusOf = (code: string | null) =>
  code !== null && Object.hasOwn(STATUS, code) ? STATUS[code] : undefined;

function fileProblem({ code, message, field }: FileError, asked: string): Problem {
  const status = statusOf(code);
  if (status) return { status, code, detail: message };
  const place = field ?? asked;
  switch (code) {
    case "no_session":
      return notFound("Session");
    case "key_conflict":
      return conflict("idempotency_key_conflict", message);
    case "busy":
      return unavailable("uploads_busy", `${message} Send it again in a moment.`, 2);
    case "clone_failed":
      return { status: statusOf(field) ?? 422, code: field ?? code, detail: message };
    case "body_too_large":
      return { status: 413, code: "payload_too_large", detail: message };
    case "body_cut":
      return CUT;
    case "no_file":
      return invalidField(place, "missing", message);
    case "invalid_body":
      return invalidField(field ?? "body", code, message);
    case "invalid_cursor":
      return invalidField("query -> cursor", code, message);
    case "outside":
      return { ...invalidField(place, code, message), code: "outside_workspace", detail: message };
    case "invalid_path":
    case "path_too_long":
      return { ...invalidField(place, code, message), code, detail: message };
    default:
      return { status: 404, code: "not_found", detail: message };
  }
}

/** Of a body that has ended before its end. */
export const CUT = invalidField("body", "body_cut", "The body was broken off.");
