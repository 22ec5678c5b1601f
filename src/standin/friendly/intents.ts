/** What plain words ask of the built-in tools: a table of phrases for each of them. */
import { unquoted } from "./clauses.ts";
import { SHELL_INTENTS } from "./commands.ts";
import { contentFor, LANGUAGES, literal, notebookOf } from "./contents.ts";
import type { Step } from "./goals.ts";
import { once, readFirst, readIfAsked, step } from "./goals.ts";
import {
  ADDRESS,
  FILE,
  fileOf,
  folderOf,
  HERE,
  type Intent,
  NAMED,
  phrase,
  SAID_FOLDER,
  SHOW,
  WHERE,
  WRITE,
} from "./phrases.ts";

const ROOT = "/workspace";

const inFolder = (folder: string | null): string => (folder === null ? "" : ` in ${folder}`);

const isNotebook = (file: string): boolean => file.endsWith(".ipynb");

/** What people put in front of the words that they mean. */
const bare = (words: string): string =>
  unquoted(
    words.replace(
      /^(?:(?:all |any |every |the |each )*(?:occurrences? of |words? |text |string |lines? )?)/i,
      (front) => (/\b(?:of|words?|text|string|lines?) $/i.test(front) ? "" : front),
    ),
  );

const readStep = (file_path: string, more: { offset?: number; limit?: number } = {}): Step =>
  step("Read", { file_path, ...more }, `Reading ${file_path}`);

const notebookStep = (notebook_path: string): Step =>
  step("NotebookRead", { notebook_path }, `Reading the notebook ${notebook_path}`);

const todoList: Intent = {
  tools: ["TodoWrite"],
  phrases: [
    phrase(
      "(?:(?:make|create|write|start|set up|give|add)(?: me)? )?(?:a |an |the |my |this )?(?:to-?\\s?do|task) ?(?:lists?|items|s)?(?: (?:with|of|for|containing))?:?\\s+(?<items>.+)",
    ),
  ],
  goal({ items = "" }) {
    const todos = items
      .split(/\s*\n\s*|\s*[,;]\s*(?:and\s+)?|\s+and\s+/)
      .map((item) => item.replace(/^(?:[-*]|\d+[.)])\s+|[.!]+$/g, "").trim())
      .filter((item) => item !== "")
      .map((content) => ({ content, status: "pending" }));
    if (todos.length === 0) return null;
    return once(step("TodoWrite", { todos }, `Noting ${todos.length} things to do`));
  },
};

const fetchPage: Intent = {
  tools: ["WebFetch"],
  phrases: [
    phrase(
      `(?:fetch|get|load|open|read|visit|look at|check|summari[sz]e|show(?: me)?|tell me what|what does|what(?:'s| is) (?:on|at|behind))(?: the)?(?: page| site| url| address)?(?: at| from| on)? ${ADDRESS}(?<prompt>.*)`,
    ),
  ],
  goal({ url = "", prompt = "" }) {
    const asked = prompt.trim();
    return once(step("WebFetch", { url, ...(asked ? { prompt: asked } : {}) }, `Fetching ${url}`));
  },
};

const addCell: Intent = {
  tools: ["NotebookRead", "NotebookEdit"],
  phrases: [
    phrase(
      `(?:add|append|insert) an? (?:new )?(?:(?<type>code|markdown|text) )?cell (?:at the end of|to|into|in) ${FILE}(?<rest>.*)`,
    ),
  ],
  goal(found, it) {
    const file = fileOf(found, it);
    const isCode = !/markdown|text/i.test(found.type ?? "");
    const content = contentFor(isCode ? "cell.py" : "cell.md", found.rest ?? "");
    if (file === null || content === null) return null;
    const cell = {
      notebook_path: file,
      edit_mode: "insert",
      cell_type: isCode ? "code" : "markdown",
      new_source: content.trimEnd(),
    };
    return readFirst(file, notebookStep(file), (text) => {
      const last = [...text.matchAll(/<\/cell id="([^"]+)">/g)].at(-1)?.[1];
      const input = last === undefined ? cell : { ...cell, cell_id: last };
      return step("NotebookEdit", input, `Adding a cell to ${file}`);
    });
  },
};

const readNotebook: Intent = {
  tools: ["NotebookRead"],
  phrases: [phrase(`${SHOW} ${FILE}`)],
  goal(found, it) {
    const file = fileOf(found, it);
    return file !== null && isNotebook(file) ? once(notebookStep(file), file) : null;
  },
};

const write: Intent = {
  tools: ["Write"],
  phrases: [
    // Up to the file's name there may be words such as "a small python program called".
    phrase(
      `${WRITE} (?<how>(?:(?!to |into |in |sure |cell |folder |directory )[\\w-]+ ){0,7}?)${NAMED}(?<rest>.*)`,
    ),
    phrase(`(?:write|save|put|store) (?<held>.+?) (?:in|into|to) (?:an? )?(?:new )?${NAMED}`),
    phrase(
      `${WRITE} an? (?:[\\w-]+ ){0,3}?(?<language>${Object.keys(LANGUAGES).join("|")}) (?:script|program|file)(?<rest>.*)`,
    ),
  ],
  goal(found) {
    const { language = "", held, how = "", rest = "" } = found;
    const extension = LANGUAGES[language.toLowerCase()];
    const file = extension === undefined ? found.file : `program.${extension}`;
    if (file === undefined) return null;
    const content =
      held === undefined ? contentFor(isNotebook(file) ? "cell.py" : file, rest) : literal(held);
    if (content === null) return null;
    const whole = isNotebook(file) ? notebookOf(content.trimEnd()) : content;
    const file_content = /\bempty\b/i.test(how) ? "" : whole;
    const call = step("Write", { file_path: file, content: file_content }, `Writing ${file}`);
    return readIfAsked(file, call, readStep(file));
  },
};

/** "a with b", as the strings to replace; null where it is no such pair. */
function pairOf(words: string): { old_string: string; new_string: string } | null {
  const [, old, fresh] =
    /^(".+?"|'.+?'|`.+?`|“.+?”|.+?) (?:with|by|to|into) (.+)$/is.exec(words) ?? [];
  if (old === undefined || fresh === undefined) return null;
  return { old_string: bare(old), new_string: bare(fresh) };
}

const edit: Intent = {
  tools: ["Read", "Edit"],
  phrases: [
    phrase(
      `(?:replace|change) (?<all>all |every |each )?(?<pairs>.+) in ${FILE}(?<far> everywhere)?`,
    ),
    phrase(
      `in ${FILE},? (?:replace|change) (?<all>all |every |each )?(?<pairs>.+?)(?<far> everywhere)?`,
    ),
  ],
  goal(found, it) {
    const file = fileOf(found, it);
    const { pairs = "", all, far } = found;
    const several = pairs.split(/\s*,\s*(?:and )?|\s+and\s+/i).map(pairOf);
    const edits = several.every((pair) => pair !== null) ? several : [pairOf(pairs)];
    const [first, ...others] = edits;
    if (file === null || !first) return null;
    return readFirst(file, readStep(file), (text) => {
      const isMany = (old: string) => Boolean(all ?? far) || text.split(old).length > 2;
      const change = (pair: { old_string: string; new_string: string }) =>
        isMany(pair.old_string) ? { ...pair, replace_all: true } : pair;
      const doing = `Changing “${first.old_string}” to “${first.new_string}” in ${file}`;
      if (others.length === 0) return step("Edit", { file_path: file, ...change(first) }, doing);
      const changes = edits.flatMap((pair) => (pair ? [change(pair)] : []));
      return step("MultiEdit", { file_path: file, edits: changes }, `Changing ${file}`);
    });
  },
};

/** Kinds of files in words, where their extension is another word. */
const KINDS: Readonly<Record<string, string>> = { ...LANGUAGES, markdown: "md", text: "txt" };
const KIND = `(?<kind>\\*?\\.\\w+|${Object.keys(KINDS).join("|")}|md|txt|json|html|css|yaml|toml|csv|ipynb|py|ts|sh)`;
const ALL = "(?: all| any| every)?(?: of)?(?: the| my)?";

const glob: Intent = {
  tools: ["Glob"],
  phrases: [
    phrase(`(?:find|list|show|get|locate)(?: me)?${ALL} ${KIND} files?${WHERE}`),
    phrase(
      `(?:which|what|where are)${ALL} ${KIND} files?(?: are| do (?:you|we|i) have| exist)?${WHERE}`,
    ),
    phrase(
      `(?:find|list|show|get)(?: me)?${ALL} files? (?:ending (?:in|with)|with (?:the )?(?:extension|ending)|matching|named|called|like) (?<name>\\S+?)${WHERE}`,
    ),
    phrase(`(?:find|list|show)(?: me)?(?: all)? (?<name>\\S*\\*\\S*)${WHERE}`),
    phrase(`(?:find|locate|where(?:'s| is)) ${NAMED}${WHERE}`),
  ],
  goal(found) {
    const { kind, name, file } = found;
    const words = unquoted(name ?? file ?? "");
    const extension = kind?.replace(/^\*?\./, "").toLowerCase();
    const below =
      extension === undefined
        ? words.replace(/^\.(?=\w+$)/, "*.")
        : `*.${KINDS[extension] ?? extension}`;
    const pattern = below.includes("/") ? below : `**/${below}`;
    const path = folderOf(found);
    const input = { pattern, ...(path === null ? {} : { path }) };
    return once(step("Glob", input, `Looking for files like ${pattern}${inFolder(path)}`));
  },
};

const grep: Intent = {
  tools: ["Grep"],
  phrases: [
    phrase(`(?:search|look|grep|scan|check) (?:for )(?<what>.+?)(?: (?:in|inside) ${NAMED})`),
    phrase(`(?:search|look|grep|scan|check) (?:for )(?<what>.+?)${WHERE}`),
    phrase(`(?:search|grep|scan|look (?:through|in)) (?:(?:through|in) )?${NAMED} for (?<what>.+)`),
    phrase(
      "(?:search|grep|scan|look through) (?:(?:through|in) )?(?:all |the |my |every )*(?:files?|workspace|project|code) for (?<what>.+)",
    ),
    phrase(`(?:find|grep) (?<what>.+?) in ${NAMED}`),
    phrase(`(?:find|grep) (?<what>.+?) ${HERE}`),
    phrase("grep (?<what>[^\\s-]\\S*)"),
    phrase(
      `(?:which|what)(?: of the)? files? (?:contain|have|mention|use|hold)s? (?<what>.+?)${WHERE}`,
    ),
    phrase(
      `where (?:do|does|is|are) (?<what>.+?) (?:appear|occur|used|mentioned|defined)s?${WHERE}`,
    ),
  ],
  goal(found) {
    const what = bare(found.what ?? "");
    if (what === "" || /\b(?:web|internet|online)\b/i.test(what)) return null;
    // What was asked for are these words, and not a regular expression.
    const pattern = what.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
    const path = found.file ?? folderOf(found);
    const input = {
      pattern,
      output_mode: "content",
      "-n": true,
      ...(path === null ? {} : { path }),
    };
    return once(step("Grep", input, `Searching for “${what}”${inFolder(path)}`));
  },
};

const ls: Intent = {
  tools: ["LS"],
  phrases: [
    phrase(
      `(?:list|show|see|display|give)(?: me)?${ALL}(?: your)? (?:files?|folder|directory|workspace|contents)(?: and (?:folders|directories))?(?: you have| we have| i have)?${WHERE}`,
    ),
    phrase(
      `(?:tell me )?(?:what|which)(?: other)? files (?:there are|are|exist|do (?:you|we|i) have|can you see|have you got)${WHERE}`,
    ),
    phrase(`(?:what(?:'s| is)|what do (?:you|we|i) have)(?: there)? ${HERE}`),
    phrase(`(?:what(?:'s| is)(?: there)? in|list|show(?: me)?|look (?:in|into)) ${SAID_FOLDER}`),
    phrase("ls"),
  ],
  goal(found) {
    const folder = folderOf(found);
    return once(step("LS", { path: folder ?? ROOT }, `Listing ${folder ?? "the files"}`));
  },
};

const read: Intent = {
  tools: ["Read"],
  phrases: [
    phrase(`${SHOW} ${FILE}`),
    phrase(`what does ${FILE} (?:say|contain|hold|look like)`),
    phrase(
      `(?:read|show(?: me)?|print|display) (?:the )?(?:lines? (?<from>\\d+)(?: ?(?:to|-|–) ?(?<to>\\d+))?|first (?<first>\\d+) lines?) (?:of|from|in) ${FILE}`,
    ),
  ],
  goal(found, it) {
    const file = fileOf(found, it);
    if (file === null) return null;
    const from = Number(found.from ?? 1);
    if (found.first) return once(readStep(file, { limit: Number(found.first) }), file);
    if (!found.from) return once(readStep(file), file);
    const limit = Math.max(1, Number(found.to ?? from) - from + 1);
    return once(readStep(file, { offset: from, limit }), file);
  },
};

/** The first one that understands a clause is taken. */
export const INTENTS: readonly Intent[] = [
  todoList,
  fetchPage,
  addCell,
  ...SHELL_INTENTS,
  edit,
  write,
  glob,
  grep,
  ls,
  readNotebook,
  read,
];
