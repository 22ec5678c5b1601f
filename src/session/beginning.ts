/** The beginning of a message, by which a list of sessions shows and finds it. */
import type { ContentBlock } from "../shared/content.ts";
import { cutAt, piecesOf } from "../shared/long-text.ts";

/** UTF-16 units that are kept of a message. */
const SHOWN_UNITS = 200;

/** The beginning of its first text that is more than white space; null when it has none. */
export function beginningOf(content: readonly ContentBlock[]): string | null {
  for (const block of content) {
    if (block.type !== "text") continue;
    const text = firstOf(block.text);
    // A copy: a slice would hold the whole message in memory.
    if (text !== "") return [...text.slice(0, cutAt(text, SHOWN_UNITS))].join("");
  }
  return null;
}

/** Enough of a text, which may be a long one, from its first character that is no white space. */
function firstOf(text: string): string {
  let first = "";
  for (const piece of piecesOf(text)) {
    first = (first + piece).trimStart();
    // One unit more, which says whether the last one that is kept is half of a character.
    if (first.length > SHOWN_UNITS) break;
  }
  return first;
}
