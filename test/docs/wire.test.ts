import { expect, test } from "vitest";
import wire from "../../docs/wire.md?raw";
import { ROUTES } from "../../src/api/cc/routes.ts";
import { exampleLines } from "./event-examples.ts";

test("docs/wire.md has an example of every event", () => {
  expect(wire).toContain(exampleLines());
});

test("docs/wire.md names every route", () => {
  const paths = ROUTES.map(({ method, path }) => ({
    method,
    path: path
      .replace(":input", "{input_id}")
      .replace(/:(\w+)/g, "{$1}")
      .replace("/*", "/{path}")
      .replace("/api/sessions/{id}/", "…/"),
  }));
  expect(paths.length).toBeGreaterThan(15);
  const missing = paths.filter(({ method, path }) => {
    const full = path.replace("…/", "/api/sessions/{id}/");
    return ![`${method} ${path}`, `${method} ${full}`].some((route) => wire.includes(`\`${route}`));
  });
  expect(missing).toEqual([]);
});
