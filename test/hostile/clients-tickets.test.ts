/** Tickets in the hands of somebody who should not have them, or who wants more of them. */
import fc from "fast-check";
import { afterEach, expect, test } from "vitest";
import { accountId } from "../../src/http/auth.ts";
import { TICKET_LIFETIME_MS } from "../../src/http/tickets.ts";
import { text } from "../../src/standin/replies.ts";
import { serverWith, standin, withStandin } from "../api/cc/server.ts";
import { FAR_FUTURE, FakeClock } from "../support/fake-clock.ts";
import { HostileClient, logged } from "./clients.ts";

withStandin();

let clock: FakeClock | undefined;
afterEach(() => clock?.restore());

const keys = { API_KEYS: "ann:a1,ben:b1" };
const server = serverWith(keys);
const ann = { authorization: "Bearer a1" };
const ben = { authorization: "Bearer b1" };

async function newSession(headers = ann): Promise<string> {
  const created = await server("POST", "/api/sessions", {}, headers);
  return created.headers.get("location") ?? "";
}

async function ticketFor(session: string, headers = ann): Promise<string> {
  const response = await server("POST", `${session}/stream-ticket`, undefined, headers);
  return (await response.json<{ ticket: string }>()).ticket;
}

const streamWith = (session: string, ticket: string, headers?: Record<string, string>) =>
  server(
    "GET",
    `${session}/events/stream?ticket=${encodeURIComponent(ticket)}`,
    undefined,
    headers,
  );

/** Refused as one without a key is, in words that do not depend on what was wrong. */
async function expectRefused(response: Response, ticket: string): Promise<void> {
  const body = await response.text();
  expect([ticket, response.status]).toEqual([ticket, 401]);
  expect(JSON.parse(body)).toMatchObject({ detail: "Invalid ticket" });
  if (ticket.length > 8) expect(body).not.toContain(ticket);
}

test("no ticket with one character changed, left out or put in opens anything", async () => {
  const session = await newSession();
  const ticket = await ticketFor(session);
  for (let at = 0; at <= ticket.length; at++) {
    const [head, tail] = [ticket.slice(0, at), ticket.slice(at)];
    const next = tail.startsWith("0") ? "1" : "0";
    for (const forged of [
      head,
      head + next + tail.slice(1),
      head + tail.slice(1),
      `${head}0${tail}`,
    ]) {
      if (forged !== ticket) await expectRefused(await streamWith(session, forged), forged);
    }
  }
});

test("no text that is not a ticket opens anything", async () => {
  const session = await newSession();
  const [account, ulid] = [await accountId("ann"), session.replace("/api/sessions/sess_", "")];
  const mac = fc.string({
    unit: fc.constantFrom(..."0123456789abcdef"),
    minLength: 64,
    maxLength: 64,
  });
  const forged = fc.oneof(
    fc.string({ unit: "grapheme" }),
    fc
      .tuple(fc.nat({ max: 9_999_999_999 }), mac)
      .map((parts) => [account, ulid, ...parts].join(".")),
    fc.tuple(fc.string(), fc.string(), fc.nat(), mac).map((parts) => parts.join(".")),
    fc.constantFrom("a1", account, "null", "x".repeat(10_000)),
  );
  const refused = async (ticket: string) =>
    expectRefused(await streamWith(session, ticket), ticket);
  await fc.assert(fc.asyncProperty(forged, refused), { numRuns: 100 });
});

test("a ticket says nothing about sessions that are not its own", async () => {
  const [mine, other, foreign] = [await newSession(), await newSession(), await newSession(ben)];
  const ticket = await ticketFor(mine);
  const ulid = (session: string) => session.replace("/api/sessions/sess_", "");
  const moved = [other, foreign].map((session) => ticket.replace(ulid(mine), ulid(session)));
  const given = ticket.replace(await accountId("ann"), await accountId("ben"));
  const missing = mine.replace(/.{4}$/, "ZZZZ");
  for (const [session, forged] of [
    [other, ticket],
    [foreign, ticket],
    [missing, ticket],
    [other, moved[0]],
    [foreign, moved[1]],
    [mine, given],
    [foreign, given.replace(ulid(mine), ulid(foreign))],
    [missing, ticket.replace(ulid(mine), ulid(missing))],
    ["/api/sessions/x", ticket],
  ] as const) {
    await expectRefused(await streamWith(session, forged ?? ""), forged ?? "");
  }
});

test("other methods on a stream's path are refused with a ticket as with a key", async () => {
  const session = await newSession();
  const ticket = await ticketFor(session);
  for (const method of ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"]) {
    const path = `${session}/events/stream?ticket=${ticket}`;
    const response = await server(method, path);
    expect([method, response.status]).toEqual([method, 401]);
    const allowed = await server(method, path, undefined, ann);
    expect([method, allowed.status, allowed.headers.get("allow")]).toEqual([
      method,
      405,
      "GET, HEAD",
    ]);
  }
});

test("for twelve hours a ticket opens its stream again and again, then it stops an EventSource", async () => {
  clock = new FakeClock(FAR_FUTURE);
  const session = await newSession();
  const ticket = await ticketFor(session);
  const path = `${session}/events/stream?ticket=${ticket}`;
  const open = (cursor: string) =>
    HostileClient.open(path, { headers: { "last-event-id": cursor }, bindings: keys });
  const first = await open("0");
  await first.readToRow(1);
  standin.script(text("Hello."));
  await server("POST", `${session}/turns`, { input: "Hi" }, ann);
  clock.jump(clock.now + TICKET_LIFETIME_MS - 1);
  const again = await open("1");
  await again.readToRow(6);
  again.leave();
  clock.jump(clock.now + 1);
  for (const method of ["GET", "HEAD"]) {
    const late = await server(method, path);
    expect([method, late.status, late.body]).toEqual([method, 204, null]);
  }
  // What was opened in time goes on.
  await server("PATCH", session, { title: "Late" }, ann);
  await first.readToRow(7);
  first.leave();
  expect(logged(first.frames).slice(1, -1)).toEqual(logged(again.frames));
});

test("a ticket whose session is deleted under its stream ends it, and opens nothing any more", async () => {
  const session = await newSession();
  const ticket = await ticketFor(session);
  const path = `${session}/events/stream?ticket=${ticket}`;
  const client = await HostileClient.open(path, { bindings: keys });
  await client.readToRow(1);
  expect((await server("DELETE", session, undefined, ann)).status).toBe(200);
  await client.readToEnd();
  expect(logged(client.frames)).toEqual(["1 session.created", "2 session.deleted"]);
  await expectRefused(await streamWith(session, ticket), ticket);
});

test("a wrong ticket is wrong also beside a right key, and of two the first one counts", async () => {
  const session = await newSession();
  const ticket = await ticketFor(session);
  await expectRefused(await streamWith(session, `${ticket}0`, ann), `${ticket}0`);
  const twice = await server("GET", `${session}/events/stream?ticket=x&ticket=${ticket}`);
  expect(twice.status).toBe(401);
  const head = await server("HEAD", `${session}/events/stream?ticket=${ticket}`);
  expect([head.status, head.headers.get("content-type")]).toEqual([
    200,
    "text/event-stream; charset=utf-8",
  ]);
});
