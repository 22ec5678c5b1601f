/**
 * Patterns for paths: `*`, `?`, `[a-z]`, `{a,b}` and `**`, as in Claude Code. They come from models
 * and clients, so they run on an engine whose time is linear in the path whatever the pattern; a
 * pattern of six stars would otherwise stop the object for minutes.
 */
import { RE2JS } from "re2js";

/**
 * Matches whole paths without a slash at their beginning. Names that begin with a dot match too. As
 * in a shell, what is no pattern (`[z-a]`) means itself.
 */
export const globMatcher = (pattern: string): ((path: string) => boolean) =>
  matcher(pattern, false);

/** The same, but a star, a question mark and a set mean slashes too, as in `tar`. */
export const wideMatcher = (pattern: string): ((path: string) => boolean) => matcher(pattern, true);

function matcher(pattern: string, slashes: boolean): (path: string) => boolean {
  const regex = compiled(pattern, slashes);
  return regex ? (path) => regex.matches(path) : (path) => path === pattern;
}

function compiled(pattern: string, slashes: boolean): RE2JS | null {
  try {
    return RE2JS.compile(expression(pattern, slashes), RE2JS.DOTALL);
  } catch {
    return null;
  }
}

function expression(pattern: string, slashes: boolean): string {
  const any = slashes ? "." : "[^/]";
  let out = "";
  /** Braces that are open; without its end a brace is a character like any other. */
  let open = 0;
  for (let at = 0; at < pattern.length; ) {
    const char = pattern[at] ?? "";
    const rest = pattern.slice(at);
    const starts = at === 0 || pattern[at - 1] === "/";
    const set = char === "[" ? /^\[([!^]?)(\]?[^\]/\\]*)\]/.exec(rest) : null;
    if (starts && rest.startsWith("**/")) {
      out += "(?:.*/)?";
      at += 3;
    } else if (starts && rest === "**") {
      // `src/**` is also the folder itself.
      out = out.endsWith("/") ? `${out.slice(0, -1)}(?:/.*)?` : `${out}.*`;
      at += 2;
    } else if (char === "*") {
      out += `${any}*`;
      at += /^\*+/.exec(rest)?.[0].length ?? 1;
    } else if (set?.[2]) {
      out += `[${set[1] ? (slashes ? "^" : "^/") : ""}${set[2].replace(/[[\]&^]/g, "\\$&")}]`;
      at += set[0].length;
    } else if (char === "\\" && at + 1 < pattern.length) {
      out += RE2JS.quote(pattern[at + 1] ?? "");
      at += 2;
    } else {
      if (char === "?") out += any;
      else if (char === "{" && closes(rest)) {
        open += 1;
        out += "(?:";
      } else if (char === "}" && open > 0) {
        open -= 1;
        out += ")";
      } else out += char === "," && open > 0 ? "|" : RE2JS.quote(char);
      at += 1;
    }
  }
  return out;
}

/** The brace at the beginning of the text has its end in it. */
function closes(text: string): boolean {
  let depth = 0;
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at];
    if (char === "\\") at += 1;
    else if (char === "{") depth += 1;
    else if (char === "}") depth -= 1;
    if (depth === 0) return at > 0;
  }
  return false;
}
