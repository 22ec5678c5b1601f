/** What plain words ask of the shell. */
import { isQuoted, unquoted } from "./clauses.ts";
import { shellQuoted } from "./contents.ts";
import type { Goal } from "./goals.ts";
import { once, step } from "./goals.ts";
import { ADDRESS, FILE, FOLDER, fileOf, folderOf, type Intent, NAMED, phrase } from "./phrases.ts";

/** What a file is run with; the shell says which of them it has. */
const INTERPRETERS: Readonly<Record<string, string>> = {
  py: "python",
  js: "node",
  mjs: "node",
  ts: "node",
  rb: "ruby",
  lua: "lua",
};

const bash = (words: readonly string[]): Goal => run(words.map(shellQuoted).join(" "));

function run(command: string): Goal {
  const shown = command.includes("\n") ? "a script" : `\`${command}\``;
  return once(step("Bash", { command }, `Running ${shown}`));
}

/** Words behind "run" that begin no command. */
const NO_COMMAND =
  /^(?:an?|the|my|your|some|all|away|into|out|for|this|that|these|again|through)\b/i;

const FILE_ALONE = phrase(FILE);

const command: Intent = {
  tools: ["Bash"],
  phrases: [
    phrase(
      "(?:run|execute|try)(?: (?:the )?(?:(?:shell|bash) )?(?:command|script|program|file))?:?\\s+(?<said>.+?)(?: (?:in|with|using) (?:the )?(?:shell|bash|terminal))?",
    ),
    phrase("\\$ (?<raw>.+)"),
    // As they are typed into a terminal; in capitals they are other words.
    /^(?<raw>(?:git|curl|ls|cat|echo|pwd|cd|mkdir|touch|wc|jq|tar|tree)(?:\s.+)?|grep -\S+\s.+)$/s,
  ],
  goal({ said, raw }, it) {
    if (raw !== undefined) return run(raw);
    const words = said ?? "";
    const found = FILE_ALONE.exec(words)?.groups;
    const file = found ? fileOf(found, it) : null;
    if (file !== null) {
      const interpreter = INTERPRETERS[file.slice(file.lastIndexOf(".") + 1)] ?? "bash";
      return bash([interpreter, file]);
    }
    if (found || (NO_COMMAND.test(words) && !isQuoted(words))) return null;
    return run(unquoted(words).trim());
  },
};

const clone: Intent = {
  tools: ["Bash"],
  phrases: [
    phrase(
      `(?:git )?clone (?:the )?(?:git )?(?:repo(?:sitory)? )?(?:at |from )?${ADDRESS}(?: (?:in)?to ${FOLDER})?`,
    ),
  ],
  goal(found) {
    const folder = folderOf(found);
    return bash(["git", "clone", found.url ?? "", ...(folder === null ? [] : [folder])]);
  },
};

const append: Intent = {
  tools: ["Bash"],
  phrases: [phrase(`(?:add|append) (?<what>.+?) (?:to|at)(?: the end of)? ${FILE}`)],
  goal(found, it) {
    const file = fileOf(found, it);
    if (file === null) return null;
    const text = unquoted(found.what ?? "").replace(/^the (?:lines?|text|words?) /i, "");
    return run(`echo ${shellQuoted(unquoted(text))} >> ${shellQuoted(file)}`);
  },
};

const remove: Intent = {
  tools: ["Bash"],
  phrases: [phrase(`(?:delete|remove) ${FILE}`)],
  goal(found, it) {
    const file = fileOf(found, it);
    return file === null ? null : bash(["rm", file]);
  },
};

const move: Intent = {
  tools: ["Bash"],
  phrases: [phrase(`(?<how>rename|move|copy) ${NAMED} (?:in)?to (?<to>\\S+)`)],
  goal({ how = "", file = "", to = "" }) {
    return bash([how.toLowerCase() === "copy" ? "cp" : "mv", file, unquoted(to)]);
  },
};

const makeFolder: Intent = {
  tools: ["Bash"],
  phrases: [
    phrase(
      `(?:make|create|add) (?:a )?(?:new )?(?:folder|directory) (?:called |named )?(?<to>\\S+)`,
    ),
  ],
  goal({ to = "" }) {
    return bash(["mkdir", "-p", unquoted(to)]);
  },
};

export const SHELL_INTENTS: readonly Intent[] = [command, clone, append, remove, move, makeFolder];
