/** The parts that the phrases of the stand-in's intents are made of, and what they find. */
import type { Goal } from "./goals.ts";

const QUOTE = "[`\"'“”]?";
const PART = "[^\\s`\"'“”,;:!?/]";

/** A name with an extension, a path with a folder, or one of the few names that have neither. */
const NAME = `(?:${PART}+/)*(?:${PART}*\\.[A-Za-z]\\w{0,9}|Makefile|Dockerfile|LICENSE|README)|(?:${PART}*/)+${PART}+`;
const CALLED =
  "(?:the )?(?:text )?(?:file |script |program |notebook |page )?(?:called |named |at )?";

/** A file by its name, as the group `file`. */
export const NAMED = `${CALLED}${QUOTE}(?<file>${NAME})${QUOTE}`;
/** The same, or the one that was last spoken of. */
export const FILE = `${CALLED}${QUOTE}(?<file>${NAME}|it\\b)${QUOTE}`;

/** A folder, as the group `folder`. */
const PATH = `${QUOTE}(?<folder>(?:[\\w@.~-]*/)*[\\w@.~-]+/?)${QUOTE}`;
export const FOLDER = `(?:the )?(?:folder |directory )?${PATH}(?: folder| directory)?`;
/** One that is said to be a folder. */
export const SAID_FOLDER = `(?:(?:the )?(?:folder|directory) ${PATH}|the (?<named>[\\w@./~-]+) (?:folder|directory)|(?<slashed>[\\w@.~-]+/(?:[\\w@./~-]*)))`;

/** The whole workspace, in other words. */
export const HERE =
  "(?:here|(?:in|of|inside|from|through) (?:here|(?:all |any |every )?(?:of )?(?:the |my |this |your )?(?:(?:current|whole|working) )?(?:workspace|session|folder|directory|project|code|files?)))";
/** Where to look; the group `folder` when it is not everywhere. */
export const WHERE = `(?: (?:there|that (?:are|exist)))?(?: ${HERE}| (?:in|of|inside|under|below) ${FOLDER})?`;

/** An address, as the group `url`. */
export const ADDRESS = "[<`\"'“]?(?<url>https?://[^\\s<>`\"'”]+?)[>`\"'”]?(?=[,.!?]*(?:\\s|$))";

export const WRITE = "(?:write|create|make|generate|save|add|set up)(?: me)?";

export const SHOW =
  "(?:(?:read|show|open|print|display|view|look at|let me see|see|give)(?: me)?|what(?:'s| is)(?: there)? (?:in|inside)|tell me what(?:'s| is) in)(?: the)?(?: whole)?(?: contents?| text)?(?: of)?";

/** A phrase is a whole clause, in any case. */
export const phrase = (source: string): RegExp => new RegExp(`^${source}$`, "is");

/** Words as a phrase found them, by the names of its groups. */
export type Found = Readonly<Record<string, string | undefined>>;

export interface Intent {
  /** All of them must be offered. */
  readonly tools: readonly string[];
  readonly phrases: readonly RegExp[];
  /** Null when the words are no such wish after all. `it` is the file that was last spoken of. */
  readonly goal: (found: Found, it: string | null) => Goal | null;
}

export const fileOf = ({ file }: Found, it: string | null): string | null =>
  file?.toLowerCase() === "it" ? it : (file ?? null);

/** Null for everywhere. */
export function folderOf({ folder, named, slashed }: Found): string | null {
  const words = folder ?? named ?? slashed ?? "the";
  if (/^(?:here|it|the|this|my|workspace|folder|directory|session|files?)$/i.test(words))
    return null;
  return words.replace(/(?<=.)\/$/, "");
}
