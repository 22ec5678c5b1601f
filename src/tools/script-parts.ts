/** What a shell script is made of, as permission rules see it. */

export interface ShellCommand {
  /** Its words, quotes removed and expansions with their `$`; assignments before it left out. */
  words: string[];
  /** It writes a file by a redirection. */
  writes: boolean;
  /** Files that its redirections name. */
  files: string[];
}

export interface Script {
  commands: ShellCommand[];
  /** What some of the commands may run besides, for denials only. */
  hidden: ShellCommand[];
  /** All of the script was understood; otherwise it may run more than `commands`. */
  plain: boolean;
}

/** A here-document whose text comes in the next lines. */
export interface Document {
  end: string;
  tabs: boolean;
  quoted: boolean;
}

/** The command that is being read. */
interface Frame {
  words: string[];
  files: string[];
  word: string | null;
  /** A part of the word is in quotes, so it is no keyword, assignment or descriptor. */
  quoted: boolean;
  writes: boolean;
  /** What the next word is: one of the command, or a redirection's target. */
  role: "word" | "file" | "text" | "document";
  operator: string;
  /** An assignment or redirection stands before its name, which is no word of the grammar then. */
  begun: boolean;
  /** The words are those between `for` and `do`. */
  header: boolean;
  /** Open `case`s, in which a parenthesis ends a pattern. */
  cases: number;
}

export const newFrame = (cases = 0): Frame => ({
  words: [],
  files: [],
  word: null,
  quoted: false,
  writes: false,
  role: "word",
  operator: "",
  begun: false,
  header: false,
  cases,
});

/** Words of the grammar with a command behind them, or none. */
export const GRAMMAR = new Set(
  "if then elif else fi while until do done for case esac { }".split(" "),
);

export const ASSIGNMENT = /^([A-Za-z_][A-Za-z0-9_]*)\+?=/;
/** A name that means itself: no expansion, no pattern, no braces. */
export const NAME = /^([A-Za-z0-9_./+:@%-]+|\[)$/;
/** Expansions of a variable that neither set one nor run anything. */
export const PARAMETER =
  /^\{#?[A-Za-z0-9_]+(\[[@*0-9]+\])?(:[0-9]+(:[0-9]+)?\}|((%%?|##?|:?-|:?\+|\/\/?|,,?|\^\^?)[A-Za-z0-9_.,:/*@% -]*)?\})/;

/** The text that `$'…'` means. */
export const unescaped = (raw: string): string =>
  raw
    .replace(/\\(?:x([0-9a-fA-F]{1,2})|[uU]([0-9a-fA-F]{1,6})|([0-7]{1,3}))/g, (_, x, u, o) =>
      spelled(Number.parseInt(x ?? u ?? o, o === undefined ? 16 : 8)),
    )
    .replace(/\\(.)/g, "$1");

const spelled = (code: number): string => (code <= 0x10ffff ? String.fromCodePoint(code) : "");

/** The text of a here-document whose first line begins at `at`. */
export function bodyOf(
  source: string,
  at: number,
  { end, tabs }: Document,
): { body: string; next: number; ended: boolean } {
  for (let line = at; line < source.length; ) {
    const feed = source.indexOf("\n", line);
    const next = feed < 0 ? source.length : feed + 1;
    const text = source.slice(line, feed < 0 ? undefined : feed);
    if ((tabs ? text.replace(/^\t+/, "") : text) === end) {
      return { body: source.slice(at, line), next, ended: true };
    }
    line = next;
  }
  return { body: source.slice(at), next: source.length, ended: false };
}

/** Scripts inside of scripts that are looked into. */
export const MAX_DEPTH = 40;
/** A script in an argument is as deep as so many others. */
export const HIDDEN_DEPTH = 8;
/** Arguments of a runner that may be the beginning of a command. */
export const MAX_ARGUMENTS = 40;

/** A command of these words alone. */
export const command = (words: string[]): ShellCommand => ({ words, writes: false, files: [] });
