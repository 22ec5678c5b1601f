/** What the values of variables may be: a reader gives null for one that breaks its rule. */
import { isRule, type PermissionMode, SERVER_TOOLS, type ServerToolName } from "./tools.ts";

/** A key that clients send, and the name of the account it opens. */
export interface ClientKey {
  account: string;
  key: string;
}

/** The account of bare keys, of `CC_API_KEY` and of anonymous use. */
export const DEFAULT_ACCOUNT = "default";

const list = (text: string): string[] =>
  text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");

/** The list of `text`, or null when it is empty or one of its parts breaks the rule. */
export function listOf(text: string, fits: (part: string) => boolean): string[] | null {
  const parts = list(text);
  return parts.length > 0 && parts.every(fits) ? parts : null;
}

export function readServerTools(text: string): ServerToolName[] | null {
  if (text === "none") return [];
  const names = list(text);
  const known = SERVER_TOOLS.filter((name) => names.includes(name));
  return names.every((name) => known.some((one) => one === name)) && known.length > 0
    ? known
    : null;
}

export function readBoolean(text: string): boolean | null {
  if (text === "true") return true;
  return text === "false" ? false : null;
}

export const BOOLEAN_RULE = "`true` or `false`";

export const readInteger =
  (min: number, max: number) =>
  (text: string): number | null => {
    if (!/^[0-9]{1,9}$/.test(text)) return null;
    const value = Number(text);
    return value >= min && value <= max ? value : null;
  };

/** A number to three decimals. */
export const readNumber =
  (min: number, max: number) =>
  (text: string): number | null => {
    if (!/^[0-9]{1,6}(\.[0-9]{1,3})?$/.test(text)) return null;
    const value = Number(text);
    return value >= min && value <= max ? value : null;
  };

export const numberRule = (min: number, max: number): string =>
  `a number from ${min} to ${max} with at most three decimals`;

/** US dollars, to a millionth. */
export const readUsd = (text: string): number | null =>
  /^[0-9]{1,9}(\.[0-9]{1,6})?$/.test(text) ? Number(text) : null;

export const USD_RULE = "an amount in US dollars such as `5` or `0.25`; `0` is a limit of nothing";

export const integerRule = (min: number, max: number): string =>
  `a whole number from ${min} to ${max}`;

/** Without the comma, so that a key can stand in a list; printable, so that a header can carry it. */
export const isKey = (text: string): boolean => /^[\x21-\x2b\x2d-\x7e]{1,512}$/.test(text);

export const isModelId = (text: string): boolean =>
  /^[A-Za-z0-9][A-Za-z0-9._:@/-]{0,127}$/.test(text);

export const ACCOUNT_NAME = /^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/;

export function readKeys(text: string): ClientKey[] | null {
  const keys: ClientKey[] = [];
  for (const part of list(text)) {
    const colon = part.indexOf(":");
    const account = colon < 0 ? DEFAULT_ACCOUNT : part.slice(0, colon);
    const key = part.slice(colon + 1);
    if (!ACCOUNT_NAME.test(account) || !isKey(key)) return null;
    // One key under two names would leave open whose account it opens.
    if (keys.some((other) => other.key === key && other.account !== account)) return null;
    keys.push({ account, key });
  }
  return keys.length > 0 ? keys : null;
}

export function readHttpUrl(text: string): string | null {
  const url = URL.parse(text);
  if (!url || (url.protocol !== "http:" && url.protocol !== "https:")) return null;
  if (url.username || url.password || url.search || url.hash) return null;
  return text.replace(/\/+$/, "");
}

export function isOrigin(text: string): boolean {
  if (text === "*") return true;
  const url = URL.parse(text);
  return url !== null && /^https?:$/.test(url.protocol) && url.origin === text;
}

/** A host in the spelling that `URL` gives it, with an optional port. */
export function isHost(text: string): boolean {
  const url = URL.parse(`http://${text}/`);
  if (!url?.hostname || !text.startsWith(url.hostname)) return false;
  return /^(:[0-9]{1,5})?$/.test(text.slice(url.hostname.length));
}

export const PERMISSION_MODES = [
  "bypassPermissions",
  "acceptEdits",
  "default",
  "plan",
  "dontAsk",
] as const satisfies readonly PermissionMode[];

export const oneOf = (names: readonly string[]): string =>
  `one of ${names.map((name) => `\`${name}\``).join(", ")}`;

export const readPermissionMode = (text: string): PermissionMode | null =>
  PERMISSION_MODES.find((mode) => mode === text) ?? null;

/** Rules separated by commas; those inside a rule's parentheses separate nothing. */
export function readRules(text: string): string[] | null {
  const rules = text.split(/,(?![^()]*\))/).map((rule) => rule.trim());
  return rules.length <= MAX_RULES && rules.every(isRule) ? rules : null;
}

const MAX_RULES = 200;

export const RULES_RULE = `a comma-separated list of at most ${MAX_RULES} rules such as \`Read\` or \`Bash(git *)\``;

export const KEY_RULE = "printable ASCII without spaces or commas, at most 512 characters";
