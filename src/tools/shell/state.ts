/** What a shell keeps from one call to the next: folder, variables, and the commands it was given. Pure. */
import type { ShellState } from "../../shared/tools.ts";

/** Characters of all names and values that are kept. */
const MAX_ENV = 16 * 1024;
/** Characters of the commands that `history` shows, and of one of them. */
const MAX_HISTORY = 4 * 1024;
const MAX_COMMAND = 500;
/** The variable under which the state holds the history. Scripts do not see it. */
const HISTORY = "BASH_HISTORY";

/** The shell sets these itself, anew in each call. */
const OWN = new Set([
  HISTORY,
  "BASHOPTS",
  "BASHPID",
  "BASH_VERSION",
  "EUID",
  "GROUPS",
  "IFS",
  "LINENO",
  "OLDPWD",
  "OPTIND",
  "PIPESTATUS",
  "PPID",
  "PWD",
  "RANDOM",
  "SECONDS",
  "SHELLOPTS",
  "SHLVL",
  "UID",
  "_",
]);

/** The variables that a call begins with. */
export const variablesOf = ({ env }: ShellState): Record<string, string> =>
  Object.fromEntries(Object.entries(env).filter(([name]) => name !== HISTORY));

/** The commands that were given before, oldest first. */
export function historyOf({ env }: ShellState): string[] {
  const text = env[HISTORY];
  if (text === undefined) return [];
  try {
    const list: unknown = JSON.parse(text);
    return Array.isArray(list) ? list.filter((one) => typeof one === "string") : [];
  } catch {
    return [];
  }
}

export interface ShellEnd {
  cwd: string;
  /** All variables, as the shell gives them when it ends. */
  env: Readonly<Record<string, string>>;
  /** All variables, as it began with them. */
  began: Readonly<Record<string, string>>;
  /** With the one that has just run. */
  history: readonly string[];
}

/** The state behind a call, and the variables that were too long to be kept. */
export function stateAfter(
  before: ShellState,
  { cwd, env, began, history }: ShellEnd,
): { state: ShellState; dropped: string[] } {
  const changed = Object.entries(env)
    .filter(([name]) => /^[A-Za-z_]\w*$/.test(name) && !OWN.has(name))
    .filter(([name, value]) => Object.hasOwn(before.env, name) || began[name] !== value)
    .sort(([, a], [, b]) => a.length - b.length);
  const kept: Record<string, string> = {};
  const dropped: string[] = [];
  let size = 0;
  for (const [name, value] of changed) {
    size += name.length + value.length;
    if (size > MAX_ENV) dropped.push(name);
    else kept[name] = value;
  }
  return { state: { cwd, env: { ...kept, ...shortHistory(history) } }, dropped };
}

/** The newest commands, as many as may be kept. */
function shortHistory(history: readonly string[]): Record<string, string> {
  const list: string[] = [];
  let size = 0;
  for (const command of [...history].reverse()) {
    const short = command.length > MAX_COMMAND ? `${command.slice(0, MAX_COMMAND)}…` : command;
    size += short.length;
    if (size > MAX_HISTORY) break;
    list.unshift(short);
  }
  return list.length > 0 ? { [HISTORY]: JSON.stringify(list) } : {};
}
