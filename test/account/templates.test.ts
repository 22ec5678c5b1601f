/** Templates of an account: those that every account has, and its own. */
import { expect, test } from "vitest";
import type { NamedFields } from "../../src/account/template-table.ts";
import { crash, newAccount, rowsWritten, tables } from "../support/accounts.ts";

const NAMES = [
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
];

const fields = (more: Partial<NamedFields> = {}): NamedFields => ({
  name: "mine",
  description: null,
  system_prompt: "Be brief.",
  model: null,
  max_turns: null,
  permission_mode: null,
  effort: null,
  allowed_tools: null,
  disallowed_tools: null,
  ...more,
});

const own = (more: Partial<NamedFields> = {}) => ({ ...fields(more), builtin: false });

test("every account has the twelve, each with a prompt and an effort, and reading makes nothing", async () => {
  const { name, client } = newAccount();
  const templates = await client.templates();
  expect(templates.map((one) => one.name)).toEqual(NAMES);
  for (const { name, system_prompt, effort, description, builtin, ...rest } of templates) {
    expect([name, builtin]).toEqual([name, true]);
    expect(["medium", "high"]).toContain(effort);
    expect(description).toMatch(/\.$/);
    const words = system_prompt?.split(/\s+/).length ?? 0;
    expect([name, words >= 80 && words <= 200]).toEqual([name, true]);
    expect(Object.values(rest)).toEqual(Array.from(Object.keys(rest), () => null));
  }
  expect(templates.filter(({ effort }) => effort === "medium").map((one) => one.name)).toEqual([
    "test-writer",
    "docs",
    "api-designer",
    "frontend",
  ]);
  expect(await client.template("docs")).toEqual(templates.find((one) => one.name === "docs"));
  expect(await client.template("nothing")).toBeNull();
  expect(await client.removeTemplate("docs")).toBe(false);
  expect(await tables(name)).toEqual([]);
});

test("one of the account's own is kept, replaced and removed, and one with a built-in's name hides that", async () => {
  const { name, client } = newAccount();
  const builtin = await client.template("docs");
  const whole = fields({
    name: "docs",
    description: "Ours.",
    model: "claude-opus-4-6",
    max_turns: 3,
    permission_mode: "auto",
    effort: "max",
    allowed_tools: "Read,Bash(git *)",
    disallowed_tools: "WebFetch",
  });
  expect(await client.putTemplate("docs", whole)).toEqual({ kind: "kept" });
  expect(await client.putTemplate("zebra", fields())).toEqual({ kind: "kept" });
  expect(await client.putTemplate("ant", fields())).toEqual({ kind: "kept" });
  await crash(name);
  expect(await client.template("docs")).toEqual({ ...whole, builtin: false });
  const templates = await client.templates();
  expect(templates.map((one) => one.name)).toEqual([...NAMES, "ant", "zebra"]);
  expect(templates.filter((one) => !one.builtin).map((one) => one.name)).toEqual([
    "docs",
    "ant",
    "zebra",
  ]);
  const low = fields({ effort: "low" });
  expect(await rowsWritten(name, (object) => object.putTemplate("ant", low))).toBe(1);
  expect(await client.template("ant")).toEqual(own({ name: "ant", effort: "low" }));
  expect(await client.removeTemplate("docs")).toBe(true);
  expect(await client.removeTemplate("docs")).toBe(false);
  expect(await client.template("docs")).toEqual(builtin);
});

test("an import replaces all that are the account's own, and no others", async () => {
  const { client } = newAccount();
  for (const name of ["a", "b", "docs"]) await client.putTemplate(name, fields());
  const given = [fields({ name: "b", effort: "low" }), fields({ name: "c" })];
  expect(await client.replaceTemplates(given)).toEqual({ kind: "kept" });
  const now = await client.templates();
  expect(now.filter(({ builtin }) => !builtin)).toEqual([
    own({ name: "b", effort: "low" }),
    own({ name: "c" }),
  ]);
  expect(now).toHaveLength(14);
  expect(await client.replaceTemplates([])).toEqual({ kind: "kept" });
  expect(await client.templates()).toEqual(await newAccount().client.templates());
});

test("there are limits, and what passes them changes nothing", async () => {
  const { client } = newAccount();
  const many = (n: number) => Array.from({ length: n }, (_, i) => fields({ name: `t${i}` }));
  expect(await client.replaceTemplates(many(101))).toEqual({ kind: "full" });
  expect(await client.templates()).toHaveLength(12);
  expect(await client.replaceTemplates(many(100))).toEqual({ kind: "kept" });
  expect(await client.putTemplate("another", fields())).toEqual({ kind: "full" });
  expect(await client.template("another")).toBeNull();
  // One that is there may change.
  expect(await client.putTemplate("t7", fields({ effort: "low" }))).toEqual({ kind: "kept" });
  const long = (n: number) =>
    Array.from({ length: n }, (_, i) =>
      fields({ name: `t${i}`, system_prompt: "x".repeat(50_000) }),
    );
  expect(await client.replaceTemplates(long(40))).toEqual({ kind: "full" });
  expect(await client.replaceTemplates(long(39))).toEqual({ kind: "kept" });
  const more = fields({ system_prompt: "x".repeat(50_000) });
  expect(await client.putTemplate("another", more)).toEqual({ kind: "full" });
  expect(await client.putTemplate("t1", more)).toEqual({ kind: "kept" });
  expect((await client.templates()).filter(({ builtin }) => !builtin)).toHaveLength(39);
});
