/**
 * Rows that are about to be written together, with the state after each of them. Decisions add
 * facts to a draft; the log then writes all of it in one synchronous step, or none.
 */
import type { Fact, Row } from "../shared/rows.ts";
import { fold } from "./fold.ts";
import type { State } from "./state.ts";

export class Draft {
  readonly rows: Row[] = [];
  #state: State;
  readonly #at: number;
  /** The time of the clock, which may have gone back behind the log's. */
  readonly now: number;

  /** `at` is the time of all rows; it is raised to the log's last time, so `at` never falls. */
  constructor(state: State, at: number) {
    this.#state = state;
    this.#at = Math.max(at, state.at);
    this.now = at;
  }

  get state(): State {
    return this.#state;
  }

  /** The seq that the next fact will get. */
  get next(): number {
    return this.#state.seq + 1;
  }

  get at(): number {
    return this.#at;
  }

  /** Adds a fact and returns its seq. */
  add(fact: Fact): number {
    // A fact and a place make a row; the union does not survive the spread.
    const row = { seq: this.next, at: this.#at, ...fact } as Row;
    this.rows.push(row);
    this.#state = fold(this.#state, row);
    return row.seq;
  }
}
