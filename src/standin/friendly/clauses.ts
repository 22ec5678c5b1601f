/** What a message asks for, clause by clause: "write a.txt with x, then list the files" has two. */

/** How a clause that asks for something begins; elsewhere a comma or an "and" joins nothing new. */
const VERBS = [
  "write|create|make|generate|save|store|put|add|append|insert|set up",
  "read|show|open|print|display|view|list|find|search|look|grep|locate",
  "replace|change|edit|rename|move|copy|delete|remove|run|execute|clone|fetch|get",
  "tell|say|report|summari[sz]e|explain|describe|give|let|check|make sure",
  "what|which|where|how",
].join("|");

const JOINTS = "and|then|after that|afterwards|next|finally|also|now|please";
const STEP = String.raw`(?:\d+[.)]\s+)?`;

/** A comma, a full stop or a new line, joining words, or both. */
const SEPARATOR = new RegExp(
  String.raw`(?:(?:[,.!?]+\s+|\n\s*)${STEP}(?:(?:${JOINTS})[\s,]+)*|\s+(?:(?:${JOINTS})[\s,]+)+)(?=(?:${VERBS})\b)`,
  "gi",
);

/** Spans in which nothing is a word of the sentence. */
const QUOTED =
  /```[\s\S]*?```|`[^`]*`|"[^"]*"|“[^”]*”|(?<=^|[\s(])'(?:[^'\n]|'(?=\w))*'(?=$|[\s.,;:!?)])/g;

const PREFACE =
  /^(?:(?:hi|hello|hey|okay|ok|great|thanks|so|please|now|first|then|next|and|also|finally|can you|could you|would you|will you|i want you to|i would like you to|i'd like you to|let's|go ahead and|try to|\d+[.)](?=\s))(?![\w-])[\s,.!]*)+/i;

/** The list that follows may hold any words, so only a "then" ends it. */
const LIST_BEHIND =
  /^(?:[a-z]+ (?:me )?)?(?:an? |the |my )?(?:to-?\s?do|task) ?(?:lists?|items|s)?(?=[\s:]|$)/i;

/** Only the place in which the next clause works. */
const PLACE = /^in \S+$/i;

export function clausesOf(message: string): string[] {
  const masked = message.replace(QUOTED, (quoted) => "\u0001".repeat(quoted.length));
  const clauses: string[] = [];
  let from = 0;
  const take = (to: number): void => {
    const clause = trimmed(message.slice(from, to));
    if (clause !== "") clauses.push(clause);
  };
  for (const { 0: separator, index } of masked.matchAll(SEPARATOR)) {
    const before = trimmed(message.slice(from, index));
    const goesOn = LIST_BEHIND.test(before) && !/\bthen\b/i.test(separator);
    if (goesOn || (PLACE.test(before) && separator.startsWith(","))) continue;
    take(index);
    from = index + separator.length;
  }
  take(message.length);
  return clauses;
}

const trimmed = (clause: string): string =>
  clause
    .trim()
    .replace(PREFACE, "")
    .replace(/,?\s+please\W*$/i, "")
    // A full stop of its own is a folder.
    .replace(/(?<=[^\s.])[.!?,;]+$/, "")
    .trim();

/** The words inside of the quotes or the block of code around them; the words themselves without. */
export function unquoted(words: string): string {
  const text = words.trim();
  const fenced = /^```[^\n]*\n([\s\S]*?)```$/.exec(text)?.[1];
  if (fenced !== undefined) return fenced;
  return (
    /^(?:`([^`]*)`|"([^"]*)"|“([^”]*)”|'([\s\S]*)')$/.exec(text)?.slice(1).find(isSome) ?? text
  );
}

/** They are written as they are to be taken, to the last character. */
export const isQuoted = (words: string): boolean => unquoted(words) !== words.trim();

const isSome = (text: string | undefined): text is string => text !== undefined;
