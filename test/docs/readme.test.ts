import { expect, test } from "vitest";
import readme from "../../README.md?raw";
import { withTables } from "../../scripts/readme-tables.ts";
import { START_VARIABLES } from "../../scripts/start-variables.ts";
import { VARIABLES } from "../../src/shared/config.ts";
import { REPLACED_VARIABLES } from "../../src/shared/config-replaced.ts";

/** All variables of the three servers whose clients Ledge serves. */
const OTHERS = `
  CC_API_MODEL CC_API_MODELS CC_API_PERMISSION_MODE CC_API_TOOL_PERMISSION_MODE CC_API_MAX_TURNS
  CC_API_TOOL_MAX_TURNS CC_API_CWD CC_API_KEY CC_API_SESSION_DB CC_API_SESSION_DIR CC_API_HOST
  CC_API_PORT CC_API_HOME
  API_HOST API_PORT API_KEYS ANTHROPIC_API_KEY CLAUDE_CLI_PATH CLAUDE_MODEL CLAUDE_MAX_TURNS
  CLAUDE_TIMEOUT_SECONDS CLAUDE_SYSTEM_PROMPT CLAUDE_PERMISSION_MODE CLAUDE_EFFORT
  CLAUDE_ALLOWED_TOOLS CLAUDE_DISALLOWED_TOOLS SANDBOX_ENABLED SANDBOX_EXCLUDED_COMMANDS
  CLAUDE_MAX_COST_PER_REQUEST CLAUDE_MAX_COST_PER_USER CLAUDE_RETRY_MAX_ATTEMPTS
  CLAUDE_RETRY_BASE_DELAY CLAUDE_RETRY_BACKOFF_FACTOR CLAUDE_RETRY_MAX_DELAY APPROVED_DIRECTORY
  DATABASE_URL SESSION_TIMEOUT_HOURS MAX_SESSIONS_PER_USER RATE_LIMIT_REQUESTS RATE_LIMIT_WINDOW
  CORS_ORIGINS ENABLE_DOCS LOG_LEVEL
  CLAUDE_BIN
`
  .trim()
  .split(/\s+/);

test("the README's tables of variables are those in the code (`npm run readme` writes them)", () => {
  expect(readme).toBe(withTables(readme));
});

test("every variable of the servers that came before is in one of the tables, and in no other", () => {
  const tables = [VARIABLES, START_VARIABLES, REPLACED_VARIABLES];
  const places = OTHERS.map((name) => [
    name,
    tables.filter((table) => Object.hasOwn(table, name)).length,
  ]);
  expect(places).toEqual(OTHERS.map((name) => [name, 1]));
  const names = tables.flatMap((table) => Object.keys(table));
  expect(new Set(names).size).toBe(names.length);
});

test("what replaces a variable names only variables that there are", () => {
  const known = { ...VARIABLES, ...START_VARIABLES };
  for (const text of Object.values(REPLACED_VARIABLES)) {
    for (const [, name = ""] of text.matchAll(/`([A-Z][A-Z_]+)`/g))
      expect(known).toHaveProperty(name);
  }
});
