/** The route table: every route says what its caller's key must be good for. That it holds to it is in test/security/access.test.ts. */
import { expect, test } from "vitest";
import { ROUTES } from "../../../src/api/cc/routes.ts";
import worker from "../../../src/worker.ts";

test("the Worker has no route that does not stand in the table", () => {
  const served = worker.routes.filter(({ method }) => method !== "ALL");
  const names = new Set(served.map(({ method, path }) => `${method} ${path}`));
  expect([...names].toSorted()).toEqual(
    ROUTES.map(({ method, path }) => `${method} ${path}`).toSorted(),
  );
});

test("only what says nothing of anybody needs no key", () => {
  const open = ROUTES.filter(({ scope }) => scope === null);
  expect(open.map(({ path }) => path)).toEqual(["/", "/healthz"]);
});

test("what changes something needs more than reading, and what manages keys is for admins", () => {
  for (const { method, path, scope } of ROUTES) {
    const changes = method !== "GET" && !path.endsWith("/stream-ticket");
    if (changes) expect([method, path, scope]).not.toEqual([method, path, "read"]);
    if (path.startsWith("/api/keys"))
      expect([method, path, scope]).toEqual([method, path, "admin"]);
  }
});

test("the routes that start a turn are those that a rate limit counts", () => {
  const limited = ROUTES.filter(({ limited }) => limited).map(({ path }) => path);
  expect(limited.toSorted()).toEqual(["/api/sessions/:id/compact", "/api/sessions/:id/turns"]);
});
