/**
 * What a turn's permissions say of a call of a built-in tool. Pure: a rule decides the same again.
 *
 * Rules are `Tool` and `Tool(pattern)`. `Read(…)` is about every tool that reads files and
 * `Edit(…)` about every one that changes them. Calls are judged by what they say, paths by their
 * spelling, shell commands as command-line.ts reads them. Denials of files and hosts hold once more
 * where a file is opened or a host asked, whatever led there; allowances and questions do not.
 */
import type { JsonObject } from "../shared/content.ts";
import { MAX_RULE_PATTERN, type Permissions } from "../shared/tools.ts";
import { WorkspaceError } from "../workspace/errors.ts";
import { ROOT, relativePath, resolvePath } from "../workspace/paths.ts";
import { edits, isWholly, looks, readScript, type Script } from "./command-line.ts";
import { baseOf } from "./command-names.ts";
import { globMatcher } from "./glob-pattern.ts";
import type { FileRules, ToolAccess } from "./tool.ts";

export type Gate =
  | { gate: "allow" }
  /** `rule` allows calls like this one for always. */
  | { gate: "ask"; reason: string; rule: string }
  | { gate: "deny"; reason: string };

export interface AskedCall {
  name: string;
  access: ToolAccess;
  input: JsonObject;
  /** The folder that relative paths of the input begin in. */
  cwd: string;
}

/** Whether the call may run, has to be asked for, or must not run. */
export function gateOf(permissions: Permissions, asked: AskedCall): Gate {
  const call = read(asked);
  const denied = permissions.deny.find((rule) => touches(rule, call));
  if (denied !== undefined) {
    const long = call.script === TOO_LONG ? ` ${LONG_SCRIPT}` : "";
    return {
      gate: "deny",
      reason: `Permission to use ${call.name} was denied by ${denied}.${long}`,
    };
  }
  if (permissions.mode === "bypassPermissions") return { gate: "allow" };
  const onlyLooks = isLooking(call);
  // A page of the web changes nothing here, so it is asked for as in the other modes.
  if (permissions.mode === "plan" && !onlyLooks && call.access !== "network") {
    return {
      gate: "deny",
      reason: `Plan mode: ${call.name} would change something, and only reading is allowed. Say what you would do instead.`,
    };
  }
  const questioned = permissions.ask.find((rule) => touches(rule, call));
  if (questioned !== undefined) {
    return permissions.unattended
      ? { gate: "deny", reason: unattended(call, questioned) }
      : question(call, `${questioned} asks for every such call.`);
  }
  if (onlyLooks || isCovered(permissions, call)) return { gate: "allow" };
  const listed = permissions.unattended && permissions.allow.length > 0;
  if (permissions.mode === "dontAsk" || listed) {
    return {
      gate: "deny",
      reason: `Permission to use ${call.name} was denied: no rule allows it, and nobody is asked.`,
    };
  }
  // Nothing in the workspace can hurt anything outside of it, and the guard stands before the rest.
  if (permissions.unattended) return { gate: "allow" };
  return question(call, `The mode ${permissions.mode} asks before ${call.name} runs.`);
}

/** A call with what rules look at read out of its input. */
interface Call extends AskedCall {
  /** Relative to the workspace's root; null without one, `..` for one outside. */
  path: string | null;
  script: Script | null;
  /** The commands of the script as lines, also without the folders of their names. */
  lines: readonly string[];
  host: string | null;
}

/** Characters of a script that is read for rules; reading takes time, and so does each rule. */
const MAX_SCRIPT = 64 * 1024;
const TOO_LONG: Script = { commands: [], hidden: [], plain: false };
const LONG_SCRIPT = `A script of more than ${MAX_SCRIPT} characters is not checked against rules: use Write for long texts.`;

function read(asked: AskedCall): Call {
  const { name, input, cwd } = asked;
  const folder = name === "Bash" || input.path === "" ? undefined : input.path;
  const path = input.file_path ?? input.notebook_path ?? folder;
  const { command, url } = input;
  const script = name === "Bash" && typeof command === "string" ? scriptOf(command) : null;
  return {
    ...asked,
    path: typeof path === "string" ? placeOf(path, cwd) : null,
    script,
    lines: script ? linesOf(script) : [],
    host: typeof url === "string" ? plainHost(URL.parse(url)?.hostname ?? "") : null,
  };
}

const scriptOf = (command: string): Script =>
  command.length > MAX_SCRIPT ? TOO_LONG : readScript(command);

const linesOf = ({ commands, hidden }: Script): string[] => [
  ...new Set(
    [...commands, ...hidden].flatMap(({ words }) => {
      const [name = "", ...rest] = words;
      const bare = baseOf(name).replace(/^[!\s]+/, "");
      return [words.join(" "), [bare, ...rest].join(" ")];
    }),
  ),
];

function placeOf(path: string, cwd: string): string {
  try {
    return relativePath(resolvePath(path, cwd));
  } catch (error) {
    if (error instanceof WorkspaceError) return "..";
    throw error;
  }
}

const isLooking = ({ access, script }: Call): boolean =>
  script ? script.plain && script.commands.every(looks) : access === "read" || access === "none";

/** Rules and the mode allow all of the call; each part of a script may have its own reason. */
function isCovered({ mode, allow }: Permissions, call: Call): boolean {
  const rules = allow.map(parsed).filter((rule) => isFor(rule, call.name));
  const accepts = mode === "acceptEdits";
  const { script } = call;
  if (rules.some((rule) => isWhole(rule, call))) return true;
  if (!script) {
    return (
      (accepts && call.access === "edit") ||
      rules.some(({ pattern }) => pattern !== null && matches(pattern, call))
    );
  }
  return isWholly(script, (command) => {
    if (looks(command) || (accepts && edits(command))) return true;
    // A redirection writes a file, which no rule about a command has in mind.
    if (command.writes) return false;
    const line = command.words.join(" ");
    return rules.some(({ pattern }) => fits(pattern ?? "*", line));
  });
}

/** The rule is about every call of the tool, or about exactly this script. */
const isWhole = ({ pattern }: Rule, { script, input }: Call): boolean =>
  pattern === null || pattern === "*" || (script !== null && pattern === input.command);

/** Rules about one kind of tool reach all of that kind, as in Claude Code. */
const READERS = new Set(["Read", "LS", "Glob", "Grep", "NotebookRead"]);
const EDITORS = new Set(["Edit", "Write", "MultiEdit", "NotebookEdit"]);

interface Rule {
  tool: string;
  pattern: string | null;
}

function parsed(rule: string): Rule {
  const match = /^([A-Za-z0-9_*-]+)\((.*)\)$/s.exec(rule.trim());
  return match
    ? { tool: match[1] ?? "", pattern: match[2] ?? "" }
    : { tool: rule.trim(), pattern: null };
}

function isFor({ tool, pattern }: Rule, name: string): boolean {
  if (tool === name || tool === "*") return true;
  if (pattern === null) return false;
  return (tool === "Read" && READERS.has(name)) || (tool === "Edit" && EDITORS.has(name));
}

/** A denial or a question holds as soon as any part of the call is what the rule names. */
function touches(text: string, call: Call): boolean {
  const rule = parsed(text);
  const { pattern } = rule;
  const { script } = call;
  if (script && pattern !== null && (rule.tool === "Read" || EDITORS.has(rule.tool))) {
    return names(pattern, script, call.cwd);
  }
  if (!isFor(rule, call.name)) return false;
  if (isWhole(rule, call)) return true;
  if (pattern === null) return false;
  if (!script) return matches(pattern, call);
  return script === TOO_LONG || call.lines.some((line) => fits(pattern, line));
}

/** One of the script's words is a path that the pattern means. */
function names(pattern: string, { commands }: Script, cwd: string): boolean {
  const words = commands.flatMap(({ words, files }) => [...words.slice(1), ...files]);
  const values = words.map((word) => word.slice(word.indexOf("=") + 1));
  const matches = pathMatcher(pattern);
  return [...new Set([...words, ...values])].some(
    (word) => word !== "" && matches(placeOf(word, cwd)),
  );
}

/** `git *` and `git:*` fit any command that begins so; without a star it is the whole command. */
function fits(pattern: string, line: string): boolean {
  const prefix = pattern.endsWith(":*") ? `${pattern.slice(0, -2)} *` : pattern;
  if (prefix.endsWith(" *") && line === prefix.slice(0, -2)) return true;
  return starMatches(prefix, line);
}

/** Each star stands for any text. Looks for the parts from left to right, which is always enough. */
function starMatches(pattern: string, text: string): boolean {
  const [first = "", ...parts] = pattern.split("*");
  const last = parts.pop();
  if (last === undefined) return text === first;
  if (!text.startsWith(first)) return false;
  let at = first.length;
  for (const part of parts) {
    const found = text.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return text.length - at >= last.length && text.endsWith(last);
}

function matches(pattern: string, { path, host, input, cwd }: Call): boolean {
  if (host !== null) return hostMatches(pattern, host);
  // A tool that looks for files without saying where looks everywhere below its folder.
  const place = path ?? relativePath(cwd);
  if (typeof input.pattern === "string" && path === null && place === ".") return pattern === "**";
  return pathMatcher(pattern)(place);
}

/** The dot at a name's end says the same name. */
const plainHost = (hostname: string): string => hostname.replace(/\.$/, "");

const hostMatches = (pattern: string, host: string): boolean =>
  starMatches(pattern.replace(/^domain:/, "").toLowerCase(), host);

function pathMatcher(pattern: string): (path: string) => boolean {
  const rooted = pattern.startsWith(`${ROOT}/`) ? pattern.slice(ROOT.length) : pattern;
  const below = rooted.replace(/^(\.?\/)+/, "");
  const folder = below.replace(/\/+$/, "");
  // As in .gitignore: a name without a slash stands for one at any depth.
  const anywhere = folder.includes("/") || below !== rooted ? folder : `**/${folder}`;
  const own = globMatcher(anywhere);
  const inside = globMatcher(`${anywhere}/**`);
  return (path) => own(path) || inside(path);
}

/** Whether denials keep a file from a tool that finds it in a folder. */
export const hiddenFrom = ({ deny }: Permissions, tool: string): ((path: string) => boolean) =>
  filesOf(deny, (rule) => isFor(rule, tool)) ?? (() => false);

/** What denials of files mean for a shell, which may name them in any way; null when there are none. */
export function fileRules({ deny }: Permissions): FileRules | null {
  const unreadable = filesOf(deny, ({ tool }) => tool === "Read");
  const unwritable = filesOf(deny, ({ tool }) => EDITORS.has(tool));
  if (!unreadable && !unwritable) return null;
  return { unreadable: unreadable ?? (() => false), unwritable: unwritable ?? (() => false) };
}

/** The files that those of the rules name; null when none of them names any. */
function filesOf(
  rules: readonly string[],
  takes: (rule: Rule) => boolean,
): ((path: string) => boolean) | null {
  const matchers = rules
    .map(parsed)
    .flatMap((rule) => (rule.pattern !== null && takes(rule) ? [pathMatcher(rule.pattern)] : []));
  if (matchers.length === 0) return null;
  return (path) => {
    const place = placeOf(path, ROOT);
    return place !== ".." && matchers.some((matches) => matches(place));
  };
}

/** Whether a denial of WebFetch names the host, which `curl` and `git` must not ask either. */
export const isHostDenied = ({ deny }: Permissions, hostname: string): boolean =>
  deny
    .map(parsed)
    .some(
      ({ tool, pattern }) =>
        tool === "WebFetch" && pattern !== null && hostMatches(pattern, plainHost(hostname)),
    );

const question = (call: Call, reason: string): Gate => ({
  gate: "ask",
  reason,
  rule: ruleFor(call),
});

const unattended = ({ name }: Call, by: string): string =>
  `Permission to use ${name} was denied: ${by} asks for it, and nobody can answer here.`;

/** The rule that an answer for always adds: as narrow as it is useful. */
function ruleFor({ name, path, script, host, input }: Call): string {
  if (script) {
    const [only] = script.commands;
    const [first = "", second = ""] = only?.words ?? [];
    const simple = script.plain && script.commands.length === 1 && only?.writes === false;
    if (simple && first !== "git") return `Bash(${first} *)`;
    if (simple && /^[a-z-]+$/.test(second)) return `Bash(git ${second} *)`;
    // Only this script; one that is too long for a rule has none that is narrower than the tool.
    const exact = `Bash(${input.command})`;
    return exact.length <= MAX_RULE_PATTERN ? exact : "Bash";
  }
  if (host) return `WebFetch(domain:${host})`;
  if (path === null || !EDITORS.has(name)) return name;
  const folder = path.includes("/") ? path.slice(0, path.lastIndexOf("/")) : "";
  return folder === "" ? `Edit(/${path})` : `Edit(/${folder}/**)`;
}
