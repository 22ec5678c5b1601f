/** What the cuts and compactions in a stretch of the log leave out of the context. */
import type { Row } from "../shared/rows.ts";

export class Cuts {
  readonly #inputs = new Set<number>();
  readonly #calls = new Set<number>();
  readonly #replaced = new Map<string, string>();
  #thinkingBefore = 0;

  constructor(rows: readonly Row[]) {
    for (const row of rows) {
      if (row.type === "context.compacted" && row.body.strip_thinking) {
        this.#thinkingBefore = row.seq;
      }
      if (row.type !== "context.cut") continue;
      for (const seq of row.body.drop) this.#inputs.add(seq);
      for (const seq of row.body.drop_calls) this.#calls.add(seq);
      for (const { tool, text } of row.body.replace) this.#replaced.set(tool, text);
      if (row.body.strip_thinking) this.#thinkingBefore = row.seq;
    }
  }

  dropsInput(seq: number): boolean {
    return this.#inputs.has(seq);
  }

  dropsCall(seq: number): boolean {
    return this.#calls.has(seq);
  }

  /** The text that stands in for a tool's result, or null. */
  replacement(tool: string): string | null {
    return this.#replaced.get(tool) ?? null;
  }

  /** The thinking in this row was written in an earlier epoch. */
  stripsThinking(seq: number): boolean {
    return seq < this.#thinkingBefore;
  }
}
