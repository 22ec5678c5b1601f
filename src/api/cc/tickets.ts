/** Stream tickets: an `EventSource` cannot send a key in a header. */
import type { MiddlewareHandler } from "hono";
import * as v from "valibot";
import { authentication } from "../../http/auth.ts";
import { readJson } from "../../http/body.ts";
import type { HttpContext, HttpEnv } from "../../http/context.ts";
import { ProblemError, unauthorized } from "../../http/problems.ts";
import { repeatedly } from "../../http/submit.ts";
import { makeTicket, readTicket, type TicketReading, ticketClaims } from "../../http/tickets.ts";
import { parse } from "../../http/validate.ts";
import { sessionStub } from "../../session/calls.ts";
import { clock } from "../../shared/clock.ts";
import { sessionId } from "../../shared/ids.ts";
import { addressed, found, sessionPath } from "./address.ts";
import { keyId } from "./key.ts";

/** `POST /api/sessions/{id}/stream-ticket` */
export async function postStreamTicket(c: HttpContext): Promise<Response> {
  const { id, ulid, session } = addressed(c);
  keyId(c, "stream-ticket");
  parse(v.object({}), await readJson(c.req.raw, c.get("config").maxBodyBytes, {}));
  const secret = found(await repeatedly(() => session.secret()));
  const { ticket, expires_at } = await makeTicket(secret, c.get("account"), ulid, clock.now());
  return c.json({
    ticket,
    url: `${sessionPath(id)}/events/stream?ticket=${ticket}`,
    expires_at: new Date(expires_at).toISOString(),
  });
}

/** Lets a request through that brings a ticket for the session in its path, or else a key. */
export const ticketOrKey = (): MiddlewareHandler<HttpEnv> => {
  const byKey = authentication();
  return async function ticketOrKey(c, next) {
    const ticket = c.req.query("ticket");
    if (ticket === undefined) return byKey(c, next);
    const reading = await verified(c, ticket);
    if (reading.kind === "invalid") throw new ProblemError(unauthorized("Invalid ticket"));
    // 204 tells an EventSource to stop, which would connect with the same ticket for ever.
    if (reading.kind === "expired") return c.body(null, 204);
    c.set("account", reading.claims.account);
    return next();
  };
};

/** The session is found by what the ticket claims, and its secret says whether the claim holds. */
async function verified(c: HttpContext, ticket: string): Promise<TicketReading> {
  const claims = ticketClaims(ticket);
  if (!claims || sessionId(claims.session) !== c.req.param("id")) return { kind: "invalid" };
  const session = sessionStub(c.env, claims.account, claims.session);
  const secret = await repeatedly(() => session.secret());
  return secret === null ? { kind: "invalid" } : readTicket(secret, ticket, clock.now());
}
