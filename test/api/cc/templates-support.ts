/** Accounts with templates of their own, as tests talk to them. */
import type { JsonObject } from "../../../src/shared/content.ts";
import { newAccount, newKey } from "./keys-support.ts";
import { type Headers, send } from "./server.ts";

const NOTHING = {
  description: null,
  system_prompt: null,
  model: null,
  max_turns: null,
  permission_mode: null,
  effort: null,
  allowed_tools: null,
  disallowed_tools: null,
};

export const shown = (name: string, fields: JsonObject) => ({
  name,
  object: "template",
  builtin: false,
  ...NOTHING,
  ...fields,
});

/** Requests with a key of an account that no other test uses. */
export async function client(account = newAccount()) {
  const { headers } = await newKey({ account, scopes: ["read", "run", "admin"] });
  const ask = (method: string, path: string, body?: unknown, more: Headers = {}) =>
    send(method, `/api/templates${path}`, body, { ...headers, ...more });
  const own = async () => {
    const { data } = await (await ask("GET", "")).json<{ data: JsonObject[] }>();
    return data.filter(({ builtin }) => builtin === false);
  };
  return { ask, own, headers };
}

export const YAML = { "content-type": "application/yaml" };
