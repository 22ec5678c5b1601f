/** Templates through HTTP: read, kept, removed, imported, refused. */
import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import type { JsonObject } from "../../../src/shared/content.ts";
import worker from "../../../src/worker.ts";
import { newAccount, newKey } from "./keys-support.ts";
import { type Headers, withStandin } from "./server.ts";
import { client, shown, YAML } from "./templates-support.ts";

withStandin();

test("the built-in ones are listed and read, and one that is not there is not found", async () => {
  const { ask } = await client();
  const { data } = await (await ask("GET", "")).json<{ data: JsonObject[] }>();
  expect(data.map(({ name, builtin }) => [name, builtin])).toEqual(
    [
      "code-reviewer",
      "devops",
      "refactor",
      "test-writer",
      "docs",
      "debug",
      "architect",
      "security",
      "performance",
      "api-designer",
      "data-engineer",
      "frontend",
    ].map((name) => [name, true]),
  );
  const docs = await (await ask("GET", "/docs")).json();
  expect(docs).toEqual(data.find(({ name }) => name === "docs"));
  expect(docs).toEqual({
    ...shown("docs", { effort: "medium" }),
    builtin: true,
    description: expect.any(String),
    system_prompt: expect.stringContaining("documentation"),
  });
  for (const name of ["nothing", "Docs", "a b", "__proto__", "constructor"]) {
    for (const method of ["GET", "DELETE"]) {
      const response = await ask(method, `/${name}`);
      expect([method, name, response.status]).toEqual([method, name, 404]);
      expect(await response.json()).toMatchObject({ detail: "Template not found" });
    }
  }
});

test("one's own is kept, read by its account and by no other, and removed once", async () => {
  const ann = await client();
  const ben = await client();
  const fields = {
    description: "Für uns ☃",
    system_prompt: "Be brief.\n\nAlways.",
    model: "claude-opus-4-6",
    max_turns: 7,
    permission_mode: "auto",
    effort: "xhigh",
    allowed_tools: "Read, Bash(git log,*) Edit(src/**)",
    disallowed_tools: "WebFetch",
  };
  const put = await ann.ask("PUT", "/our_own-1", fields);
  expect([put.status, await put.json()]).toEqual([200, shown("our_own-1", fields)]);
  const read = await (await ann.ask("GET", "/our_own-1")).json<JsonObject>();
  expect(read).toEqual(shown("our_own-1", fields));
  expect((await ben.ask("GET", "/our_own-1")).status).toBe(404);
  expect((await ben.ask("PUT", "/our_own-1", {})).status).toBe(200);
  expect(await ben.own()).toEqual([shown("our_own-1", {})]);
  // What was read may be sent back, with a change; what is left out is taken away.
  const changed = { ...read, effort: "low", model: undefined, disallowed_tools: "" };
  const again = await ann.ask("PUT", "/our_own-1", changed);
  const now = { ...fields, effort: "low", model: null, disallowed_tools: null };
  expect(await again.json()).toEqual(shown("our_own-1", now));
  expect(await ann.own()).toEqual([shown("our_own-1", now)]);
  const removed = await ann.ask("DELETE", "/our_own-1");
  expect([removed.status, await removed.json()]).toEqual([
    200,
    { name: "our_own-1", deleted: true },
  ]);
  expect((await ann.ask("DELETE", "/our_own-1")).status).toBe(404);
  expect((await ann.ask("GET", "/our_own-1")).status).toBe(404);
});

test("one's own hides a built-in of its name, which shows again without it", async () => {
  const { ask } = await client();
  const builtin = await (await ask("GET", "/docs")).json();
  expect((await ask("DELETE", "/docs")).status).toBe(404);
  await ask("PUT", "/docs", { system_prompt: "Ours." });
  expect(await (await ask("GET", "/docs")).json()).toEqual(
    shown("docs", { system_prompt: "Ours." }),
  );
  expect((await ask("DELETE", "/docs")).status).toBe(200);
  expect(await (await ask("GET", "/docs")).json()).toEqual(builtin);
});

const FILE = `
reviewer:
  system_prompt: >-
    You review
    code.
  effort: high
"short":
  system_prompt: Be brief.
empty: {}
`;

test("a file with several replaces all that are one's own, as YAML and as JSON", async () => {
  const { ask, own } = await client();
  await ask("PUT", "/old", { effort: "low" });
  const first = await ask("POST", "/import", FILE, YAML);
  const [empty, reviewer, short] = [
    shown("empty", {}),
    shown("reviewer", { system_prompt: "You review code.", effort: "high" }),
    shown("short", { system_prompt: "Be brief." }),
  ];
  expect([first.status, await first.json()]).toEqual([200, { data: [reviewer, short, empty] }]);
  expect(await own()).toEqual([empty, reviewer, short]);
  const second = await ask("POST", "/import", { docs: { effort: "max" } });
  expect(await second.json()).toEqual({ data: [shown("docs", { effort: "max" })] });
  expect(await own()).toEqual([shown("docs", { effort: "max" })]);
  expect(await (await ask("POST", "/import", {})).json()).toEqual({ data: [] });
  expect(await own()).toEqual([]);
});

const LONG = "x".repeat(50_001);

describe("what cannot be a template is refused, and changes nothing:", () => {
  test.each<[what: string, body: unknown, field: string, type: string]>([
    ["no object", [], "body", "model_attributes_type"],
    ["a text", '"text"', "body", "model_attributes_type"],
    ["an unknown field", { sytem_prompt: "x" }, "body -> sytem_prompt", "extra_forbidden"],
    ["a long prompt", { system_prompt: LONG }, "body -> system_prompt", "value_error"],
    [
      "a long description",
      { description: "x".repeat(501) },
      "body -> description",
      "string_too_long",
    ],
    ["a number for a prompt", { system_prompt: 7 }, "body -> system_prompt", "string_type"],
    ["an effort", { effort: "some" }, "body -> effort", "literal_error"],
    ["a mode", { permission_mode: "yolo" }, "body -> permission_mode", "literal_error"],
    ["no turns", { max_turns: 0 }, "body -> max_turns", "greater_than_equal"],
    ["half a turn", { max_turns: 1.5 }, "body -> max_turns", "int_type"],
    ["a model", { model: "two words" }, "body -> model", "string_pattern_mismatch"],
    ["a rule", { allowed_tools: "Read,(" }, "body -> allowed_tools", "value_error"],
    [
      "many rules",
      { disallowed_tools: "R,".repeat(201) },
      "body -> disallowed_tools",
      "value_error",
    ],
    ["another name", { name: "other" }, "body -> name", "string_pattern_mismatch"],
  ])("%s", async (_, body, field, type) => {
    const { ask, own } = await client();
    const response = await ask("PUT", "/mine", body);
    expect([response.status, (await response.json<JsonObject>()).errors]).toEqual([
      422,
      [{ field, type, message: expect.any(String) }],
    ]);
    // The same in a file, where the field's name says which one it is.
    if (field !== "body" && field !== "body -> name") {
      const imported = await ask("POST", "/import", { good: {}, mine: body });
      expect(await imported.json()).toMatchObject({
        status: 422,
        errors: [{ field: field.replace("body", "body -> mine"), type }],
      });
    }
    expect(await own()).toEqual([]);
  });

  test.each(["Mine", "a b", "ä", "x".repeat(65), "-x", "__proto__", "constructor", "prototype"])(
    "the name %j",
    async (name) => {
      const { ask, own } = await client();
      const put = await ask("PUT", `/${encodeURIComponent(name)}`, {});
      expect(await put.json()).toMatchObject({ status: 422, errors: [{ field: "path -> name" }] });
      const imported = await ask("POST", "/import", `{"good": {}, ${JSON.stringify(name)}: {}}`);
      expect(await imported.json()).toMatchObject({
        status: 422,
        errors: [{ field: `body -> ${name}` }],
      });
      expect(await own()).toEqual([]);
    },
  );

  test.each(["a", "0", "x".repeat(64), "a-b_c", "import", "to-string"])(
    "but not the name %j",
    async (name) => {
      const { ask, own } = await client();
      expect((await ask("PUT", `/${name}`, {})).status).toBe(200);
      expect((await ask("POST", "/import", { [name]: {} })).status).toBe(200);
      expect((await own()).map((one) => one.name)).toEqual([name]);
    },
  );

  test("too many, and too much text", async () => {
    const { ask, own } = await client();
    const many = (n: number, fields: JsonObject) =>
      Object.fromEntries(Array.from({ length: n }, (_, i) => [`t${i}`, fields]));
    for (const [n, fields] of [
      [101, {}],
      [41, { system_prompt: "x".repeat(50_000) }],
    ] as const) {
      const response = await ask("POST", "/import", many(n, fields));
      expect(await response.json()).toMatchObject({
        status: 409,
        error: { code: "too_many_templates" },
      });
      expect(await own()).toEqual([]);
    }
    expect((await ask("POST", "/import", many(100, {}))).status).toBe(200);
    expect((await ask("PUT", "/another", {})).status).toBe(409);
    expect((await ask("PUT", "/t99", { effort: "low" })).status).toBe(200);
    expect(await own()).toHaveLength(100);
  });
});

test("changes need an admin, and stand in the audit with the template's name", async () => {
  const account = newAccount();
  const { headers } = await client(account);
  const { headers: run } = await newKey({ account, scopes: ["read", "run"] });
  const ask = async (method: string, path: string, body: unknown, who: Headers) => {
    const context = createExecutionContext();
    const request = new Request(`http://localhost/api${path}`, {
      method,
      headers: { "content-type": "application/json", ...who },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const response = await worker.fetch(request, env, context);
    await waitOnExecutionContext(context);
    return response;
  };
  expect((await ask("GET", "/templates/docs", undefined, run)).status).toBe(200);
  expect((await ask("PUT", "/templates/mine", {}, run)).status).toBe(403);
  for (const [method, path, body] of [
    ["PUT", "/templates/mine", { system_prompt: "A secret of ours." }],
    ["POST", "/templates/import", { other: {} }],
    ["DELETE", "/templates/other", undefined],
    ["DELETE", "/templates/other", undefined],
  ] as const) {
    await ask(method, path, body, headers);
  }
  const audit = await (await ask("GET", "/audit", undefined, headers)).text();
  expect(audit).not.toContain("secret of ours");
  const { data } = JSON.parse(audit) as { data: JsonObject[] };
  const acts = data.map(({ action, target, outcome }) => [action, target, outcome]);
  expect(acts.toSorted()).toEqual([
    ["access.refused", null, "missing_scope"],
    ["template.import", null, "ok"],
    ["template.put", "mine", "ok"],
    ["template.remove", "other", "ok"],
  ]);
  const { data: puts } = await (
    await ask("GET", "/audit?action=template.put", undefined, headers)
  ).json<{ data: JsonObject[] }>();
  expect(puts).toHaveLength(1);
});
