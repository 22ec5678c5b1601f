import { expect, test } from "vitest";
import wire from "../../docs/wire.md?raw";
import routes from "../../src/api/cc/routes.ts?raw";
import { exampleLines } from "./event-examples.ts";

test("docs/wire.md has an example of every event", () => {
  expect(wire).toContain(exampleLines());
});

test("docs/wire.md names every route", () => {
  const paths = [...routes.matchAll(/app\.(get|post|put|patch|delete)\("([^"]+)"/g)].map(
    ([, method = "", path = ""]) => {
      const shown = path
        .replace(":input", "{input_id}")
        .replace(/:(\w+)/g, "{$1}")
        .replace("/*", "/{path}")
        .replace("/api/sessions/{id}/", "…/");
      return { method: method.toUpperCase(), path: shown };
    },
  );
  expect(paths.length).toBeGreaterThan(15);
  const missing = paths.filter(({ method, path }) => {
    const full = path.replace("…/", "/api/sessions/{id}/");
    return ![`${method} ${path}`, `${method} ${full}`].some((route) => wire.includes(`\`${route}`));
  });
  expect(missing).toEqual([]);
});
