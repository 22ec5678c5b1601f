import { expect, test } from "vitest";
import wire from "../../docs/wire.md?raw";
import { ROUTES as CC } from "../../src/api/cc/routes.ts";
import { ROUTES as CHAT } from "../../src/api/chat/routes.ts";
import { ROUTES as CODE } from "../../src/api/code/routes.ts";
import { ROUTES as DOCS } from "../../src/api/openapi/routes.ts";
import type { Route } from "../../src/http/routes.ts";
import { exampleLines } from "./event-examples.ts";

test("docs/wire.md has an example of every event", () => {
  expect(wire).toContain(exampleLines());
});

/** What stands under one of the page's first headings. */
const chapter = (title: string): string =>
  wire.split(/^# /m).find((text) => text.startsWith(`${title}\n`)) ?? "";

/** How routes are written there: `…/` is a session's path, and parameters may have other names. */
const written = (path: string, session: string): string[] => {
  const whole = path
    .replace(":input", "{input_id}")
    .replace(/:(\w+)/g, "{$1}")
    .replace("/*", "/{path}");
  return [whole, whole.replace(`${session}/`, "…/")];
};

/** Routes of which `text` says nothing. */
const missing = (
  text: string,
  routes: readonly Pick<Route, "method" | "path">[],
  session: string,
): string[] =>
  routes
    .filter(
      ({ method, path }) =>
        !written(path, session).some((one) =>
          // It ends there, or has a query.
          ["`", "?"].some((end) => text.includes(`\`${method} ${one}${end}`)),
        ),
    )
    .map(({ method, path }) => `${method} ${path}`);

test("docs/wire.md names every route", () => {
  expect(missing(wire, [...CC, ...CHAT, ...DOCS], "/api/sessions/{id}")).toEqual([]);
});

test("its chapter on claude-code-api names every route of that", () => {
  const below = CODE.map(({ method, path }) => ({
    method,
    path: path.replace("/api/v1", "").replace(":job", ":id").replace(":template", ":name"),
  }));
  expect(missing(chapter("claude-code-api"), below, "/sessions/{name}")).toEqual([]);
});

test("a route of which it says nothing would be found", () => {
  const nowhere = [{ method: "GET", path: "/api/sessions/:id/nowhere" } as const];
  expect(missing(wire, nowhere, "/api/sessions/{id}")).toEqual(["GET /api/sessions/:id/nowhere"]);
  expect(chapter("Routes")).not.toContain("# claude-code-api");
});
