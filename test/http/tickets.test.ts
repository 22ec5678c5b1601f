import { expect, test } from "vitest";
import {
  makeTicket,
  readTicket,
  TICKET_LIFETIME_MS,
  ticketClaims,
} from "../../src/http/tickets.ts";

const SECRET = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
const OTHER = `ff${SECRET.slice(2)}`;
const NOW = Date.UTC(2026, 10, 20, 12, 0, 0, 123);
const ACCOUNT = "acct_37a8eec1ce19687d";
const SESSION = "sess_01JD3F5Z8Y6W4V2T0R9Q7P5N3M";

const KEY = "01JD3F5Z8Y6W4V2T0R9Q7P5N3K";
const CLAIMS = { account: ACCOUNT, session: SESSION };
const PROOFS = ["other", "proof"];

const made = () => makeTicket(SECRET, CLAIMS, { key: null, proof: "proof" }, NOW);

const read = (ticket: string, now = NOW, secret = SECRET) =>
  readTicket(secret, ticket, PROOFS, now);

test("a ticket holds for twelve hours, to the second", async () => {
  const { ticket, expires_at } = await made();
  expect(TICKET_LIFETIME_MS).toBe(12 * 3600 * 1000);
  expect(expires_at).toBe(NOW - 123 + TICKET_LIFETIME_MS);
  const claims = { ...CLAIMS, key: null, expires_at };
  const valid = { kind: "valid", claims, proof: "proof" };
  expect(await read(ticket)).toEqual(valid);
  expect(await read(ticket, expires_at - 1)).toEqual(valid);
  expect(await read(ticket, expires_at)).toEqual({ kind: "expired", claims });
});

test("a ticket names the managed key that it was made with", async () => {
  const { ticket } = await makeTicket(SECRET, CLAIMS, { key: KEY, proof: "" }, NOW);
  expect(ticketClaims(ticket)).toMatchObject({ ...CLAIMS, key: KEY });
  expect(await readTicket(SECRET, ticket, [""], NOW)).toMatchObject({ kind: "valid" });
  const other = ticket.replace(KEY, KEY.replace(/K$/, "M"));
  expect(await readTicket(SECRET, other, [""], NOW)).toEqual({ kind: "invalid" });
  const none = ticket.replace(KEY, "-");
  expect(await readTicket(SECRET, none, ["", ...PROOFS], NOW)).toEqual({ kind: "invalid" });
});

test("a ticket dies with the proof of its key, which it does not contain", async () => {
  const { ticket } = await made();
  expect(ticket).not.toContain("proof");
  for (const proofs of [[], [""], ["other"], ["proo", "prooff"]]) {
    expect(await readTicket(SECRET, ticket, proofs, NOW)).toEqual({ kind: "invalid" });
  }
});

test("its claims can be read before its secret is known, and it fits into a query as it is", async () => {
  const { ticket, expires_at } = await made();
  expect(ticketClaims(ticket)).toEqual({ ...CLAIMS, key: null, expires_at });
  expect(encodeURIComponent(ticket)).toBe(ticket);
  expect(ticket).not.toContain(SECRET);
});

test("another session's secret does not verify it, not even as expired", async () => {
  const { ticket, expires_at } = await made();
  expect(await read(ticket, NOW, OTHER)).toEqual({ kind: "invalid" });
  expect(await read(ticket, expires_at + 1, OTHER)).toEqual({ kind: "invalid" });
});

test("a change of any single character makes it invalid", async () => {
  const { ticket } = await made();
  for (let at = 0; at < ticket.length; at += 1) {
    for (const put of ["A", "1", ".", ""]) {
      if (ticket[at] === put) continue;
      const forged = ticket.slice(0, at) + put + ticket.slice(at + 1);
      expect([forged, await read(forged)]).toEqual([forged, { kind: "invalid" }]);
    }
  }
});

test.each(["", ".", "a.b.1.-.c", "a.b.0.-.", `${"a".repeat(5000)}`, "a.b.1", "ä.b.1.c"])(
  "%j is no ticket",
  async (text) => {
    expect(ticketClaims(text)).toBeNull();
    expect(await read(text)).toEqual({ kind: "invalid" });
  },
);
