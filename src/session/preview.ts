/**
 * What the model has written of its message so far, as followers see it. In memory only: the rows
 * of the message are written when its call ends.
 */
import type { Delta } from "../model/message.ts";
import { wholePlace } from "../shared/cursor.ts";
import type { Preview } from "../shared/events.ts";

interface Segment {
  i: number;
  kind: Preview["kind"];
  name: string;
  text: string;
  /** Units of all segments before this one. */
  start: number;
}

export class PreviewBuffer {
  readonly #call: number;
  readonly #turn: number;
  readonly #segments: Segment[] = [];
  #length = 0;
  #taken = 0;

  constructor(call: number, turn: number) {
    this.#call = call;
    this.#turn = turn;
  }

  /** UTF-16 units so far. */
  get length(): number {
    return this.#length;
  }

  /** Adds a delta; true when it is the first of its block. */
  add(delta: Delta): boolean {
    if (delta.text === "") return false;
    const last = this.#segments.at(-1);
    const start = this.#length;
    this.#length += delta.text.length;
    if (last?.i === delta.i) {
      last.text += delta.text;
      return false;
    }
    const name = delta.kind === "tool" ? delta.name : "";
    this.#segments.push({ i: delta.i, kind: delta.kind, name, text: delta.text, start });
    return true;
  }

  /** What has come since the last `take`. Never ends inside a surrogate pair. */
  take(): Preview[] {
    const end = this.#wholeEnd();
    const previews = this.#slice(this.#taken, end);
    this.#taken = Math.max(this.#taken, end);
    return previews;
  }

  /** What a follower that has seen `offset` units of it lacks, as far as it was taken. */
  since(offset: number): Preview[] {
    return this.#slice(offset, this.#taken);
  }

  #wholeEnd(): number {
    const unit = this.#segments.at(-1)?.text.slice(-1).charCodeAt(0) ?? 0;
    return unit >= 0xd800 && unit <= 0xdbff ? this.#length - 1 : this.#length;
  }

  #slice(from: number, to: number): Preview[] {
    const previews: Preview[] = [];
    for (const { i, kind, name, text, start } of this.#segments) {
      const offset = wholePlace(text, Math.max(from, start) - start) + start;
      const piece = text.slice(offset - start, Math.max(0, to - start));
      if (piece === "" || offset >= to) continue;
      previews.push({ call: this.#call, turn: this.#turn, i, kind, name, text: piece, offset });
    }
    return previews;
  }
}
