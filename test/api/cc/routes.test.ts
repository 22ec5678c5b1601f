/** The route table: every route says what its caller's key must be good for. That it holds to it is in test/security/access.test.ts. */
import { expect, test } from "vitest";
import { ROUTES as CC } from "../../../src/api/cc/routes.ts";
import { ROUTES as CHAT } from "../../../src/api/chat/routes.ts";
import { ROUTES as CODE } from "../../../src/api/code/routes.ts";
import { ROUTES as DOCS } from "../../../src/api/openapi/routes.ts";
import worker from "../../../src/worker.ts";

const ROUTES = [...CC, ...CODE, ...CHAT, ...DOCS];

test("the Worker has no route that does not stand in the table", () => {
  const served = worker.routes.filter(({ method }) => method !== "ALL");
  const names = new Set(served.map(({ method, path }) => `${method} ${path}`));
  expect([...names].toSorted()).toEqual(
    ROUTES.map(({ method, path }) => `${method} ${path}`).toSorted(),
  );
});

test("only what says nothing of anybody needs no key", () => {
  const open = ROUTES.filter(({ scope }) => scope === null);
  expect(open.map(({ path }) => path)).toEqual([
    "/",
    "/healthz",
    "/api/v1/health",
    "/api/v1/templates",
    "/api/v1/templates/:template",
    "/v1/health",
    "/openapi.json",
    "/docs",
    "/redoc",
    "/docs/*",
  ]);
});

/** Posts that change nothing. */
const READING = /\/(stream-ticket|tokens\/count|templates\/reload)$/;

test("what changes something needs more than reading, and what manages keys is for admins", () => {
  for (const { method, path, scope } of ROUTES) {
    const changes = method !== "GET" && !READING.test(path);
    if (changes) expect([method, path, scope]).not.toEqual([method, path, "read"]);
    if (path.startsWith("/api/keys"))
      expect([method, path, scope]).toEqual([method, path, "admin"]);
  }
});

test("the routes that a rate limit counts are those that start a turn, and one of claude-code-api", () => {
  const limited = ROUTES.filter(({ limited }) => limited).map(({ path }) => path);
  expect(limited.toSorted()).toEqual([
    "/api/sessions/:id/compact",
    "/api/sessions/:id/turns",
    "/api/v1/sessions",
    "/api/v1/sessions/:name/chat",
    "/api/v1/sessions/:name/chat/stream",
    "/api/v1/sessions/:name/jobs",
    "/v1/chat",
    "/v1/chat/stream",
  ]);
});
