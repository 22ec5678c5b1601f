/**
 * What is too long for one call, and so comes in parts: a submission, or the configuration of a
 * session. It is parsed as it comes and held in memory only: nothing is accepted before the last part
 * is here, and a Worker that finds its parts gone sends them again.
 */
import { clock } from "../shared/clock.ts";
import { JsonReader } from "../shared/json-reader.ts";
import type { ConfigChange, SessionConfig } from "../shared/rows.ts";
import type { Submission } from "./commands.ts";

/** Parts of a Worker that went away are dropped after this time, in milliseconds. */
const KEPT_MS = 60_000;

interface Staged {
  /** When the last part came. */
  at: number;
  /** Has the parts before `next`. */
  reader: JsonReader;
  next: number;
  /** Parts that came before their turn. */
  early: Map<number, string>;
}

export class Staging {
  readonly #staged = new Map<string, Staged>();

  /** Takes part `n` of a submission's JSON text. */
  put(submission: string, n: number, text: string): void {
    const at = clock.now();
    for (const [id, one] of this.#staged) if (one.at < at - KEPT_MS) this.#staged.delete(id);
    const known = this.#staged.get(submission);
    const reader = known?.reader ?? new JsonReader({ long: "all" });
    const staged = known ?? { at, reader, next: 0, early: new Map() };
    this.#staged.set(submission, staged);
    staged.at = at;
    if (n >= staged.next) staged.early.set(n, text);
    for (;;) {
      const part = staged.early.get(staged.next);
      if (part === undefined) return;
      staged.early.delete(staged.next);
      staged.reader.push(part);
      staged.next += 1;
    }
  }

  /** The submission, or null when a part is missing. What goes to the model may be `LongText`. */
  takeSubmission(submission: string, parts: number): Submission | null {
    // A Worker staged the JSON text of one.
    const staged = this.#take(submission, parts) as Submission | null;
    const command = staged?.command;
    if (!staged || command?.kind !== "update") return staged;
    return { ...staged, command: { ...command, config: withWholeMetadata(command.config) } };
  }

  /** The configuration of a session, or null. What goes to the model may be `LongText` in it. */
  takeConfig(submission: string, parts: number): SessionConfig | null {
    // A Worker staged the JSON text of one.
    const config = this.#take(submission, parts) as SessionConfig | null;
    return config && withWholeMetadata(config);
  }

  #take(submission: string, parts: number): unknown {
    const staged = this.#staged.get(submission);
    this.#staged.delete(submission);
    const result = staged?.next === parts ? staged.reader.end() : null;
    return result?.ok ? result.value : null;
  }
}

/** The session's state has the metadata, and answers with them. */
const withWholeMetadata = <C extends ConfigChange>(config: C): C =>
  config.metadata === undefined
    ? config
    : { ...config, metadata: JSON.parse(JSON.stringify(config.metadata)) };
