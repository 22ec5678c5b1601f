/** A linter that knows nothing of this server reads its description. */
import { createConfig, lintFromString } from "@redocly/openapi-core";
import { expect, test } from "vitest";
import { dataFolder, startedServer } from "./support.ts";

const RULES = {
  // Frames of streams are referred to by `x-events`, which OpenAPI 3.1 does not know.
  "no-unused-components": "off",
  // A route without a key and without parameters has no way to be asked for wrongly.
  "operation-4xx-response": "off",
} as const;

test("the document is good OpenAPI 3.1", async () => {
  const server = await startedServer(await dataFolder(), {});
  const source = await (await fetch(`${server.url}/openapi.json`)).text();
  const config = await createConfig({ extends: ["recommended-strict"], rules: RULES });
  const problems = await lintFromString({ source, absoluteRef: "openapi.json", config });
  const said = problems.map(({ ruleId, message, location: [place] }) =>
    [ruleId, message, place?.pointer].join(" "),
  );
  expect(said).toEqual([]);

  const { openapi, paths } = JSON.parse(source);
  expect(openapi).toBe("3.1.0");
  expect(Object.keys(paths)).toEqual(
    expect.arrayContaining(["/api/sessions", "/api/v1/sessions", "/v1/chat"]),
  );
  // What does not hold is noticed.
  const broken = source.replace('"operationId":"createTurn"', '"operationId":"createSession"');
  const found = await lintFromString({ source: broken, absoluteRef: "openapi.json", config });
  expect(found.map(({ ruleId }) => ruleId)).toEqual(["operation-operationId-unique"]);
});
