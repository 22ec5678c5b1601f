/** A surface's routes as data: what each one asks of its caller's key. */
import type { AuditAction } from "../shared/audit.ts";
import type { Scope } from "../shared/keys.ts";
import type { HttpContext } from "./context.ts";
import { onError, type Problem, ProblemError } from "./problems.ts";
import { admitted, standing } from "./rate-limit.ts";

export interface Route {
  method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  path: string;
  /** What the caller's key must be good for; null: there may be no key. */
  scope: Scope | null;
  /** A key's rate limit counts its requests, or those of them that start a turn. */
  limited?: true | ((c: HttpContext) => boolean);
  /** Where they are not counted, responses say where the key stands all the same. */
  tells?: true;
  /** What the audit is told when it was done; absent where the session's log says it, or nothing is done. */
  audit?: AuditAction;
  handler: (c: HttpContext) => Response | Promise<Response>;
}

/**
 * The route's handler behind its checks: what the route asks of its caller's key is enforced here.
 *
 * @example
 * app.on(route.method, route.path, guarded(route));
 */
export function guarded({ scope, limited, tells, handler }: Route): Route["handler"] {
  if (scope === null) return handler;
  return async function guard(c) {
    checkScope(c, scope);
    const counts = typeof limited === "function" ? limited(c) : limited;
    if (!counts && tells)
      return told(...(await Promise.all([answer(c, null, handler), standing(c)])));
    const limit = counts ? await admitted(c) : null;
    if (!limit) return handler(c);
    return told(await answer(c, limit.refusal, handler), limit.headers);
  };
}

/** @throws ProblemError 403 where the caller's key is not good for it */
export function checkScope(c: HttpContext, scope: Scope): void {
  if (!c.get("caller").key.scopes.includes(scope)) throw new ProblemError(missingScope(scope));
}

function told(response: Response, headers: Record<string, string> | null): Response {
  for (const [name, value] of Object.entries(headers ?? {})) response.headers.set(name, value);
  return response;
}

/** Also a problem carries the headers, so it is not thrown. */
async function answer(
  c: HttpContext,
  refusal: Problem | null,
  handler: Route["handler"],
): Promise<Response> {
  try {
    if (refusal) throw new ProblemError(refusal);
    return await handler(c);
  } catch (error) {
    return onError(error instanceof Error ? error : new Error("not an error"), c);
  }
}

const missingScope = (scope: Scope): Problem => ({
  status: 403,
  code: "missing_scope",
  detail: `This key lacks the scope ${scope}.`,
  extra: { scope },
});
