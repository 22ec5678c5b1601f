/** A surface's routes as data: what each one asks of its caller's key. */
import type { AuditAction } from "../shared/audit.ts";
import type { Scope } from "../shared/keys.ts";
import type { HttpContext } from "./context.ts";
import { onError, type Problem, ProblemError } from "./problems.ts";
import { admitted } from "./rate-limit.ts";

export interface Route {
  method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  path: string;
  /** What the caller's key must be good for; null: there may be no key. */
  scope: Scope | null;
  /** A key's rate limit counts its requests. */
  limited?: true;
  /** What the audit is told when it was done; absent where the session's log says it, or nothing is done. */
  audit?: AuditAction;
  handler: (c: HttpContext) => Response | Promise<Response>;
}

/**
 * The route's handler behind its checks: this is the only place where scopes and rate limits are
 * enforced.
 *
 * @example
 * app.on(route.method, route.path, guarded(route));
 */
export function guarded({ scope, limited, handler }: Route): Route["handler"] {
  if (scope === null) return handler;
  return async function guard(c) {
    if (!c.get("caller").key.scopes.includes(scope)) throw new ProblemError(missingScope(scope));
    const limit = limited ? await admitted(c) : null;
    if (!limit) return handler(c);
    const response = await answer(c, limit.refusal, handler);
    for (const [name, value] of Object.entries(limit.headers)) response.headers.set(name, value);
    return response;
  };
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
