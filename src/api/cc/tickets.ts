/** Stream tickets: an `EventSource` cannot send a key in a header. */
import type { MiddlewareHandler } from "hono";
import * as v from "valibot";
import { admit, authentication, refuse, unnamedIdentities } from "../../http/auth.ts";
import { readJson } from "../../http/body.ts";
import { type Identity, ticketIdentity } from "../../http/caller.ts";
import type { HttpContext, HttpEnv } from "../../http/context.ts";
import { ProblemError, unauthorized } from "../../http/problems.ts";
import { repeatedly } from "../../http/submit.ts";
import { makeTicket, readTicket, ticketClaims } from "../../http/tickets.ts";
import { parse } from "../../http/validate.ts";
import { sessionStub } from "../../session/calls.ts";
import { clock } from "../../shared/clock.ts";
import { sessionId } from "../../shared/ids.ts";
import { found, sessionPath } from "../common/address.ts";
import { keyId } from "../common/key.ts";
import { addressed } from "./address.ts";

/** `POST /api/sessions/{id}/stream-ticket` */
export async function postStreamTicket(c: HttpContext): Promise<Response> {
  const { id, ulid, session } = addressed(c);
  keyId(c, "stream-ticket");
  parse(v.object({}), await readJson(c.req.raw, c.get("config").maxBodyBytes, {}));
  const secret = found(await repeatedly(() => session.secret()));
  const claims = { account: c.get("account"), session: ulid };
  const { holder } = c.get("credential");
  const { ticket, expires_at } = await makeTicket(secret, claims, holder, clock.now());
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
    if (reading === "invalid") throw new ProblemError(unauthorized("Invalid ticket"));
    // 204 tells an EventSource to stop, which would connect with the same ticket for ever.
    if (reading === "expired") return c.body(null, 204);
    admit(c, forReading(reading));
    return next();
  };
};

/**
 * Whose ticket it is. The session is found by what the ticket claims, and its secret says whether the
 * claim holds; so does the key that it was made with.
 */
async function verified(c: HttpContext, ticket: string): Promise<Identity | "invalid" | "expired"> {
  const claims = ticketClaims(ticket);
  if (!claims || sessionId(claims.session) !== c.req.param("id")) return "invalid";
  const { account, session, key } = claims;
  const secret = await repeatedly(() => sessionStub(c.env, account, session).secret());
  if (secret === null) return "invalid";
  const config = c.get("config");
  const unnamed = key === null ? await unnamedIdentities(config, account) : [];
  const proofs = key === null ? unnamed.map(({ credential }) => credential.holder.proof) : [""];
  const reading = await readTicket(secret, ticket, proofs, clock.now());
  if (reading.kind !== "valid") return reading.kind;
  if (key === null) {
    const holder = unnamed.find(({ credential }) => credential.holder.proof === reading.proof);
    return holder ?? "invalid";
  }
  const standing = await ticketIdentity(c.env, config, { account, id: key });
  if (standing.kind === "ended") refuse(c, standing);
  return standing.kind === "good" ? standing.identity : "invalid";
}

/** Somebody may have the ticket who does not have the key. */
const forReading = ({ caller, credential }: Identity): Identity => ({
  caller: {
    ...caller,
    key: { ...caller.key, scopes: caller.key.scopes.filter((scope) => scope === "read") },
  },
  credential,
});
