/** Stream tickets, which an `EventSource` sends instead of a key. */
import { env } from "cloudflare:workers";
import { expect, test } from "vitest";
import { accountId } from "../../../src/http/auth.ts";
import { sha256Hex } from "../../../src/http/canonical.ts";
import { makeTicket, TICKET_LIFETIME_MS } from "../../../src/http/tickets.ts";
import { sessionStub } from "../../../src/session/calls.ts";
import { clock } from "../../../src/shared/clock.ts";
import { framesUntil, serverWith, withStandin } from "./server.ts";

withStandin();

const server = serverWith({ API_KEYS: "ann:a1,ben:b1" });
const ann = { authorization: "Bearer a1" };

interface Ticket {
  ticket: string;
  url: string;
  expires_at: string;
}

async function sessionWithTicket(): Promise<{ session: string; ticket: Ticket }> {
  const created = await server("POST", "/api/sessions", {}, ann);
  const session = created.headers.get("location") ?? "";
  const response = await server("POST", `${session}/stream-ticket`, undefined, ann);
  expect(response.status).toBe(200);
  return { session, ticket: await response.json<Ticket>() };
}

test("a ticket opens its session's stream without a key", async () => {
  const { session, ticket } = await sessionWithTicket();
  expect(ticket.url).toBe(`${session}/events/stream?ticket=${ticket.ticket}`);
  const left = Date.parse(ticket.expires_at) - clock.now();
  expect(left).toBeGreaterThan(TICKET_LIFETIME_MS - 60_000);
  const stream = await server("GET", ticket.url);
  expect(await framesUntil(stream, "session.created")).toMatchObject([{ id: "1" }]);
});

test("a ticket opens nothing else", async () => {
  const { session, ticket } = await sessionWithTicket();
  const other = (await sessionWithTicket()).session;
  for (const path of [session, `${session}/events`, `${session}/turns`, "/api/sessions"]) {
    expect((await server("GET", `${path}?ticket=${ticket.ticket}`)).status).toBe(401);
  }
  const elsewhere = await server("GET", `${other}/events/stream?ticket=${ticket.ticket}`);
  expect(elsewhere.status).toBe(401);
});

test.each([
  (ticket: string) => `${ticket.slice(0, -2)}AA`,
  (ticket: string) => ticket.replace(/\.\d+\./, ".9999999999."),
  (ticket: string) => ticket.slice(1),
  () => "x",
  () => "",
])("a changed ticket is 401, and no problem repeats it", async (change) => {
  const { session, ticket } = await sessionWithTicket();
  const changed = change(ticket.ticket);
  const response = await server("GET", `${session}/events/stream?ticket=${changed}`);
  expect(response.status).toBe(401);
  if (changed.length > 1) expect(await response.text()).not.toContain(changed);
});

test("an expired ticket is 204, which stops an EventSource", async () => {
  const { session } = await sessionWithTicket();
  const ulid = session.replace("/api/sessions/sess_", "");
  const account = await accountId("ann");
  const secret = (await sessionStub(env, account, ulid).secret()) ?? "";
  const made = clock.now() - TICKET_LIFETIME_MS - 2000;
  const proof = await sha256Hex("a1");
  const claims = { account, session: ulid };
  const { ticket } = await makeTicket(secret, claims, { key: null, proof }, made);
  const response = await server("GET", `${session}/events/stream?ticket=${ticket}`);
  expect(response.status).toBe(204);
  expect(response.body).toBeNull();
});

test("a ticket of a deleted session is 401", async () => {
  const { session, ticket } = await sessionWithTicket();
  expect((await server("DELETE", session, undefined, ann)).status).toBe(200);
  expect((await server("GET", ticket.url)).status).toBe(401);
});
