/**
 * The built-in rules of moderation. Each takes a time that is linear in the text, whatever the text:
 * every repetition has a limit, or is of characters that the rule's beginning cannot stand in.
 */

export interface ModerationRule {
  name: string;
  /** Whether the text, as `plain` writes it, has a match that ends behind `from`, and not behind `to`. */
  matches: (text: string, from: number, to: number) => boolean;
}

/** White space as `plain` leaves it. */
const GAP = "[ \\n]{1,2}";
const MAYBE_GAP = "[ \\n]{0,2}";

const INVISIBLE = /[\u00ad\u200b-\u200d\u2060\ufeff]/g;

/**
 * The text with runs of white space as one space or one or two line feeds, without characters that
 * nobody sees, and with commands that go on in the next line in one line.
 */
export const plain = (text: string): string =>
  text
    .replace(INVISIBLE, "")
    .replace(/\\?\r\n?|\\\n/g, (end) => (end.startsWith("\\") ? " " : "\n"))
    .replace(/[^\S\n]+/g, " ")
    .replace(/ ?\n ?/g, "\n")
    .replace(/\n{3,}/g, "\n\n")
    .replace(/(?<!\n)\n(?=\|)|(?<=\|)\n/g, " ");

/** A space in `source` is any gap, one with a question mark may be missing, and `[ ]` is itself. */
const pattern = (name: string, source: string): ModerationRule => {
  const gaps: Readonly<Record<string, string>> = { " ": GAP, " ?": MAYBE_GAP };
  const regex = new RegExp(
    source.replace(/\[ \]| \?| /g, (found) => gaps[found] ?? found),
    "giu",
  );
  return {
    name,
    matches: (text, from, to) => {
      for (const match of text.matchAll(regex)) {
        const end = match.index + match[0].length;
        if (end > from && end <= to) return true;
      }
      return false;
    },
  };
};

const WHOSE = "(?:all|any|every|each|of|the|your|these|those|this|that|its)";
const WHEN = "(?:previous|prior|above|earlier|preceding)";
const WHICH = `(?:system|developer|safety|user|and|or|${WHEN})`;
const WHAT = "(?:instructions|prompts)\\b";

/** `ignore the previous instructions`, but not `do not ignore …`. */
const injection = pattern(
  "prompt_injection",
  `(?<!(?:\\b(?:not|never|cannot)|n['’]t) )\\bignore (?:${WHOSE} ){0,4}(?:${WHEN} (?:${WHICH} ){0,3}${WHAT}|${WHAT} (?:given )?above\\b)`,
);

const persona = pattern(
  "persona",
  "\\byou(?: are|['’]re) now (?:(?:a|an|the|in|as) ){0,2}(?:dan|jailbreak|jailbroken|unrestricted)\\b(?!['’]s\\b)",
);

/** Not `operating system: you are …`: a role begins a line, a text or a sentence. */
const role = pattern(
  "system_role",
  "(?<![\\p{L}\\p{N}_-][ ]?)system[\"'*`\\])>]{0,3} ?: ?[\"'*`]{0,3} ?you are\\b",
);

const chatml = pattern("chatml", "<\\| ?im_start ?\\|>");

/** Words of a command that are looked at. */
const REMOVAL = /\brm((?: [^\s;&|]{1,200}){1,12})/giu;
const ROOT = /^\/[/.*]*$/;

const removal: ModerationRule = {
  name: "remove_root",
  matches: (text, from, to) => {
    for (const match of text.matchAll(REMOVAL)) {
      const end = match.index + match[0].length;
      if (end > from && end <= to && removesRoot(match[1] ?? "")) return true;
    }
    return false;
  },
};

function removesRoot(rest: string): boolean {
  // Nearly all texts end here.
  if (!rest.includes(" -") || !/ ["'`]?\//.test(rest)) return false;
  const words = rest
    .trim()
    .toLowerCase()
    .split(" ")
    .map((word) => word.replace(/^["'`]+|["'`,:!?)\]}]+$/g, ""));
  const has = (letter: RegExp, name: string): boolean =>
    words.some((word) => word === name || (/^-[a-z]+$/.test(word) && letter.test(word)));
  return has(/r/, "--recursive") && has(/f/, "--force") && words.some((word) => ROOT.test(word));
}

/** The start of a function's body; its name stands before, and what it does behind. */
const BODY = /\([ \n]?\)[ \n]{0,2}\{/g;
const NAME_UNITS = 32;
const BODY_UNITS = 160;

const forkBomb: ModerationRule = {
  name: "fork_bomb",
  matches: (text, from, to) => {
    for (const { 0: start, index } of text.matchAll(BODY)) {
      const behind = index + start.length;
      const end = Math.min(behind + BODY_UNITS, text.length);
      if (end > from && end <= to && isForkBomb(text, index, behind)) return true;
    }
    return false;
  },
};

/** `name(){ name|name& };name` */
function isForkBomb(text: string, before: number, behind: number): boolean {
  const head = text.slice(Math.max(0, before - NAME_UNITS), before);
  const name = /([\w:.-]+)[ \n]?$/.exec(head)?.[1];
  if (name === undefined) return false;
  const body = text.slice(behind, behind + BODY_UNITS).replace(/[ \n]/g, "");
  const called = `${name}|${name}&}`;
  return body.startsWith(called) && body.slice(called.length).replace(/^;+/, "").startsWith(name);
}

const WRAPPER =
  "(?:(?:[\\w./-]{0,60}/)?(?:sudo|env|exec|nohup|command)(?: -[\\w-]{1,20}(?: [\\w-]{1,30})?){0,4} )";
const ASSIGNMENT = "(?:\\w{1,40}=\\S{0,100} )";
const SHELL = `\\| ?(?:${WRAPPER}|${ASSIGNMENT}){0,3}(?:[\\w./-]{0,60}/)?(?:ba|z|da|k)?sh(?![\\w-])`;

/** A download begins, a command ends, or a shell reads what comes through the pipe. */
const PIPELINE = new RegExp(
  `(?<download>\\b(?:curl|wget)(?:\\.exe)? [^\\s|])|(?<shell>${SHELL})|\\n|;(?= |\\n|$)|&&|\\|\\|`,
  "giu",
);

const pipedShell: ModerationRule = {
  name: "piped_shell",
  matches: (text, from, to) => {
    let downloads = false;
    for (const match of text.matchAll(PIPELINE)) {
      const { download, shell } = match.groups ?? {};
      const end = match.index + match[0].length;
      if (shell === undefined) downloads = download !== undefined;
      else if (downloads && end > from && end <= to) return true;
    }
    return false;
  },
};

export const BUILT_IN_RULES: readonly ModerationRule[] = [
  injection,
  persona,
  role,
  chatml,
  removal,
  forkBomb,
  pipedShell,
];
