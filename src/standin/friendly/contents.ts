/** What stands in a file that is asked for in plain words. */
import { isQuoted, unquoted } from "./clauses.ts";

/** A program of each language that prints a text. */
const PRINTING: Readonly<Record<string, (text: string) => string>> = {
  py: (text) => `print(${JSON.stringify(text)})`,
  js: (text) => `console.log(${JSON.stringify(text)});`,
  mjs: (text) => `console.log(${JSON.stringify(text)});`,
  ts: (text) => `console.log(${JSON.stringify(text)});`,
  sh: (text) => `#!/bin/bash\necho ${shellQuoted(text)}`,
  rb: (text) => `puts ${JSON.stringify(text)}`,
  lua: (text) => `print(${JSON.stringify(text)})`,
  go: (text) =>
    `package main\n\nimport "fmt"\n\nfunc main() {\n\tfmt.Println(${JSON.stringify(text)})\n}`,
  html: (text) => `<!doctype html>\n<p>${htmlText(text)}</p>`,
};

/** Names under which people ask for a language, and its extension. */
export const LANGUAGES: Readonly<Record<string, string>> = {
  python: "py",
  javascript: "js",
  js: "js",
  node: "js",
  typescript: "ts",
  bash: "sh",
  shell: "sh",
  ruby: "rb",
  lua: "lua",
  go: "go",
};

const EXTENSION = /\.(\w+)$/;

const PRINTS =
  /^,?\s*(?:that |which |to |and )?(?:just |only )?(?:prints?|printing|says?|saying|echo(?:es|ing)?|outputs?|logs?)(?: out)?\s+(?:the (?:text|words?) )?(.+)$/is;
const HOLDS =
  /^,?\s*(?:(?:that |which )(?:contains?|has|holds?|reads?)|with|containing|holding|having)\s+(?:(?:the |this )?(?:contents?|text|words?|lines?|code)\b:?\s*)?(.+)$/is;
const BEHIND_COLON = /^\s*:\s*(.+)$/s;

/**
 * The content that the words behind a file's name ask for; null where they say nothing that can be
 * written down.
 *
 * @example contentFor("hello.py", "that prints hi") === 'print("hi")\n'
 */
export function contentFor(path: string, words: string): string | null {
  const extension = EXTENSION.exec(path)?.[1]?.toLowerCase() ?? "";
  if (words.trim() === "") return lines(printing(extension, "Hello from the stand-in."));
  const printed = PRINTS.exec(words)?.[1];
  if (printed !== undefined) return lines(printing(extension, unquoted(printed)));
  const held = HOLDS.exec(words)?.[1] ?? BEHIND_COLON.exec(words)?.[1];
  if (held !== undefined) return literal(held);
  return words.trim().startsWith("```") ? literal(words) : null;
}

/** Quoted words are the whole content; others are a line. */
export const literal = (words: string): string =>
  isQuoted(words) ? unquoted(words) : lines(words.trim());

const printing = (extension: string, text: string): string =>
  Object.hasOwn(PRINTING, extension) ? (PRINTING[extension]?.(text) ?? text) : text;

const lines = (text: string): string => (text.endsWith("\n") ? text : `${text}\n`);

/** As one word of a shell. */
export const shellQuoted = (text: string): string =>
  /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;

const htmlText = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

/** A notebook of one cell. */
export function notebookOf(source: string): string {
  const state = { metadata: {}, outputs: [], execution_count: null };
  const cells = [{ cell_type: "code", id: "cell-0", ...state, source }];
  return `${JSON.stringify({ cells, metadata: {}, nbformat: 4, nbformat_minor: 5 }, null, 1)}\n`;
}
