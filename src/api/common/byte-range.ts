/** Conditions and ranges of a download (RFC 9110, sections 13 and 14). */

/** First and last byte. */
export interface ByteRange {
  from: number;
  to: number;
}

/** A tag of the list, or `*`, stands for the file; `weak` also takes tags that begin with `W/`. */
export function hasTag(list: string, etag: string, weak: boolean): boolean {
  if (list.trim() === "*") return true;
  const tags = list.split(",").map((tag) => tag.trim());
  return tags.some((tag) => tag === etag || (weak && tag === `W/${etag}`));
}

/**
 * The part that `Range` asks for. Null for all of it: a header of another form, or one of several
 * ranges, is ignored, as the standard allows.
 */
export function byteRange(header: string, size: number): ByteRange | "unsatisfiable" | null {
  const found = /^bytes=[ \t]*(\d{0,15})-(\d{0,15})[ \t]*$/i.exec(header);
  if (!found || (found[1] === "" && found[2] === "")) return null;
  const [, first = "", last = ""] = found;
  if (first === "") {
    const length = Math.min(Number(last), size);
    return length === 0 ? "unsatisfiable" : { from: size - length, to: size - 1 };
  }
  const from = Number(first);
  if (last !== "" && Number(last) < from) return null;
  if (from >= size) return "unsatisfiable";
  return { from, to: last === "" ? size - 1 : Math.min(Number(last), size - 1) };
}
