/**
 * The key of a call, where it comes back: gateways say in their errors what they were sent. Pure.
 */

/** A shorter key could be any word of an error. */
const SHORTEST = 8;
/** In an answer a word is changed only when nothing else can be meant. */
const SHORTEST_IN_ANSWER = 16;

const HIDDEN = "[key]";

export interface KeyHiding {
  /** The key stands in the text, in upper or lower case. */
  has: (text: string) => boolean;
  /** A text about the call, without the key. */
  inText: (text: string) => string;
  /**
   * The JSON of one event of an answer, without the key. A key that comes in several pieces is not
   * seen.
   */
  inAnswer: (data: string) => string;
}

/**
 * @example
 * const hide = keyHiding(upstream.apiKey);
 * hide.inText(`bad key ${upstream.apiKey}`); // "bad key [key]"
 */
export function keyHiding(key: string): KeyHiding {
  if (key.length < SHORTEST) {
    return { has: () => false, inText: (text) => text, inAnswer: (data) => data };
  }
  const pattern = new RegExp(key.replace(/\W/g, "\\$&"), "gi");
  const escaped = JSON.stringify(key).slice(1, -1);
  return {
    has: (text) => text.toLowerCase().includes(key.toLowerCase()),
    inText: (text) => text.replace(pattern, HIDDEN),
    inAnswer: (data) =>
      key.length >= SHORTEST_IN_ANSWER && data.includes(escaped)
        ? data.replaceAll(escaped, HIDDEN)
        : data,
  };
}
