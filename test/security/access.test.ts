/**
 * Every route of the table × everything that is no key for it: refused in words that say nothing, and
 * nothing is written. The same requests with the right key are let through.
 */
import { beforeAll, describe, expect, test } from "vitest";
import type { Route } from "../../src/http/routes.ts";
import { SCOPES } from "../../src/shared/keys.ts";
import { type MadeKey, newKey } from "../api/cc/keys-support.ts";
import { send, withStandin } from "../api/cc/server.ts";
import { HALF_OPEN, KEYED, nameOf, pathOf } from "./surface.ts";
import type { Tables } from "./tables.ts";
import {
  ann,
  ask,
  ben,
  clock,
  DISGUISES,
  FORMS,
  METHODS,
  server,
  stored,
  useAccounts,
} from "./two-accounts.ts";

withStandin();
useAccounts();

let keys: Record<"revoked" | "expired", MadeKey> & { without: Map<string, MadeKey> };
let ticket: string;
let before: Tables[];

beforeAll(async () => {
  const { account } = ann;
  const made = SCOPES.map(async (scope) => {
    const others = SCOPES.filter((other) => other !== scope);
    return [scope, await newKey({ account, scopes: others })] as const;
  });
  keys = {
    revoked: await newKey({ account, scopes: [...SCOPES] }),
    expired: await newKey({ account, scopes: [...SCOPES], expires_in_seconds: 1 }),
    without: new Map(await Promise.all(made)),
  };
  await send("DELETE", `/api/keys/${keys.revoked.id}?account=${account}`);
  const path = `${ann.session}/stream-ticket`;
  const made_ticket = await server("POST", path, undefined, ann.key.headers);
  ticket = (await made_ticket.json<{ ticket: string }>()).ticket;
  clock.advance(1_000);
  before = await stored();
}, 30_000);

/** What is sent in place of a key, by the route; null: nothing. */
const CREDENTIALS: Readonly<
  Record<string, { text: (route: Route) => string | null; status: number; code: string }>
> = {
  "no key": { text: () => null, status: 401, code: "unauthorized" },
  "a word": { text: () => "letmein", status: 401, code: "unauthorized" },
  "a key with another secret": {
    text: () => ann.key.text.replace(/.{4}$/, (end) => (end === "0000" ? "1111" : "0000")),
    status: 401,
    code: "unauthorized",
  },
  "a key's public id": { text: () => ann.key.id, status: 401, code: "unauthorized" },
  "a stream ticket": { text: () => ticket, status: 401, code: "unauthorized" },
  "a revoked key": { text: () => keys.revoked.text, status: 401, code: "key_revoked" },
  "an expired key": { text: () => keys.expired.text, status: 401, code: "key_expired" },
  "a key with all scopes but the route's": {
    text: ({ scope }) => keys.without.get(scope ?? "")?.text ?? "none",
    status: 403,
    code: "missing_scope",
  },
};

describe.each(Object.entries(CREDENTIALS))("%s", (_, { text, status, code }) => {
  test("opens no route, in whatever form and disguise, and writes nothing", async () => {
    for (const route of KEYED) {
      const path = pathOf(route, ann.ids);
      const sent = text(route);
      for (const [form, header] of FORMS) {
        for (const disguise of DISGUISES) {
          for (const method of METHODS(route)) {
            const headers = { ...disguise, ...(sent === null ? {} : header(sent)) };
            const answer = await ask(route, method, path, headers);
            const what = [nameOf(route), method, form];
            expect([...what, answer.status]).toEqual([...what, status]);
            expect(answer.headers.get("www-authenticate")).toBe(status === 401 ? "Bearer" : null);
            expect(answer.body).not.toContain(ann.mark);
            if (method !== "HEAD") expect([...what, answer.code]).toEqual([...what, code]);
          }
        }
      }
    }
    expect(await stored()).toEqual(before);
  }, 60_000);
});

test("a right key in an address opens no route", async () => {
  for (const route of KEYED) {
    for (const name of [
      "key",
      "api_key",
      "apiKey",
      "x-api-key",
      "access_token",
      "token",
      "authorization",
    ]) {
      const path = pathOf(route, ann.ids);
      const query = `${path.includes("?") ? "&" : "?"}${name}=${ann.key.text}`;
      expect([
        nameOf(route),
        name,
        (await ask(route, route.method, path + query, {})).status,
      ]).toEqual([nameOf(route), name, 401]);
    }
  }
  expect(await stored()).toEqual(before);
});

test("a ticket in an address opens the stream of its session, for reading, and no other route", async () => {
  for (const route of KEYED) {
    const path = pathOf(route, ann.ids);
    const query = `${path.includes("?") ? "&" : "?"}ticket=${ticket}`;
    const opened = path.endsWith("/events/stream");
    const answer = await ask(route, route.method, path + query, {});
    expect([nameOf(route), answer.status]).toEqual([nameOf(route), opened ? 200 : 401]);
    const foreign = await ask(route, route.method, pathOf(route, ben.ids) + query, {});
    expect([nameOf(route), foreign.status]).toEqual([nameOf(route), 401]);
  }
  expect(await stored()).toEqual(before);
});

test("where nobody needs a key, one that is sent must be good, and good for reading", async () => {
  expect(HALF_OPEN.map(nameOf)).toEqual([
    "GET /api/v1/templates",
    "GET /api/v1/templates/:template",
  ]);
  for (const route of HALF_OPEN) {
    const path = pathOf(route, ann.ids);
    for (const [name, { text, status, code }] of Object.entries(CREDENTIALS)) {
      const sent = text({ ...route, scope: "read" });
      if (sent === null) continue;
      for (const [form, header] of FORMS) {
        const answer = await ask(route, "GET", path, header(sent));
        expect([name, form, answer.status, answer.code]).toEqual([name, form, status, code]);
        expect(answer.body).not.toContain(ann.mark);
      }
    }
  }
});

/** Last: these requests do what they say. */
test("every one of these requests passes with the right key", async () => {
  for (const route of KEYED) {
    const { status } = await ask(route, route.method, pathOf(route, ann.ids), ann.key.headers);
    expect([nameOf(route), status]).not.toEqual([nameOf(route), expect.toBeOneOf([401, 403, 404])]);
    expect([nameOf(route), status < 500]).toEqual([nameOf(route), true]);
  }
}, 20_000);
