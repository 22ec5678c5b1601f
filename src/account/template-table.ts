/** An account's own templates, and how they meet the built-in ones. */
import type { Template, TemplateFields } from "../shared/template.ts";
import { BUILTIN_TEMPLATES } from "./builtin-templates.ts";

export const TEMPLATE_TABLE = `
CREATE TABLE IF NOT EXISTS template (
  name TEXT PRIMARY KEY,
  -- TemplateFields as JSON, without those that are null: it is written and read as a whole.
  body TEXT NOT NULL
) WITHOUT ROWID, STRICT;
`;

/** Of an account's own. */
export const MAX_TEMPLATES = 100;
/** Characters of all of them together: they are listed in one answer. */
export const MAX_TEMPLATE_CHARACTERS = 2_000_000;

export type NamedFields = TemplateFields & Pick<Template, "name">;

/** `full`: nothing was changed, as there would be too many of them, or too much text. */
export type TemplateChange = { kind: "kept" | "full" };

const NO_FIELDS: TemplateFields = {
  description: null,
  system_prompt: null,
  model: null,
  max_turns: null,
  permission_mode: null,
  effort: null,
  allowed_tools: null,
  disallowed_tools: null,
};

const BUILTIN: readonly Template[] = BUILTIN_TEMPLATES.map((template) => ({
  ...NO_FIELDS,
  ...template,
  builtin: true,
}));

/** Built-in ones in their own order, each replaced by one of the account's own, then the others by name. */
export function withBuiltin(own: readonly Template[]): Template[] {
  const hidden = new Map(own.map((template) => [template.name, template]));
  const first = BUILTIN.map((template) => hidden.get(template.name) ?? template);
  const names = new Set(BUILTIN.map(({ name }) => name));
  return [...first, ...own.filter(({ name }) => !names.has(name))];
}

export const builtinTemplate = (name: string): Template | null =>
  BUILTIN.find((template) => template.name === name) ?? null;

type Stored = { name: string; body: string };

/** Needs the table above. */
export class TemplateTable {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** By name. */
  all(): Template[] {
    const query = "SELECT name, body FROM template ORDER BY name";
    return this.#sql.exec<Stored>(query).toArray().map(templateOf);
  }

  get(name: string): Template | null {
    const query = "SELECT name, body FROM template WHERE name = ?";
    const [stored] = this.#sql.exec<Stored>(query, name).toArray();
    return stored ? templateOf(stored) : null;
  }

  put(template: NamedFields): TemplateChange {
    const stored = storedOf(template);
    const query =
      "SELECT count(*) AS n, coalesce(sum(length(body)), 0) AS characters FROM template WHERE name <> ?";
    const others = this.#sql.exec<{ n: number; characters: number }>(query, template.name).one();
    const characters = others.characters + stored.body.length;
    if (!fits(others.n + 1, characters)) return { kind: "full" };
    this.#write(stored);
    return { kind: "kept" };
  }

  /** False when there was none. */
  remove(name: string): boolean {
    return this.#sql.exec("DELETE FROM template WHERE name = ?", name).rowsWritten > 0;
  }

  /** These and no others. */
  replace(templates: readonly NamedFields[]): TemplateChange {
    const stored = templates.map(storedOf);
    const characters = stored.reduce((sum, { body }) => sum + body.length, 0);
    if (!fits(stored.length, characters)) return { kind: "full" };
    this.#sql.exec("DELETE FROM template");
    for (const one of stored) this.#write(one);
    return { kind: "kept" };
  }

  #write({ name, body }: Stored): void {
    this.#sql.exec("INSERT OR REPLACE INTO template (name, body) VALUES (?, ?)", name, body);
  }
}

const fits = (templates: number, characters: number): boolean =>
  templates <= MAX_TEMPLATES && characters <= MAX_TEMPLATE_CHARACTERS;

function storedOf({ name, ...fields }: NamedFields): Stored {
  const given = Object.entries(fields).filter(([, value]) => value !== null);
  return { name, body: JSON.stringify(Object.fromEntries(given)) };
}

const templateOf = ({ name, body }: Stored): Template => ({
  ...NO_FIELDS,
  // What `storedOf` has written.
  ...(JSON.parse(body) as Partial<TemplateFields>),
  name,
  builtin: false,
});
