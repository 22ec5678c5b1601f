/**
 * Rows that are about to be written together, with the state after each of them. Decisions add
 * facts to a draft; the log then writes all of it in one synchronous step, or none.
 */
import { PRICES } from "../model/prices.ts";
import type { PriceTable } from "../shared/price.ts";
import type { Fact, Row } from "../shared/rows.ts";
import { fold } from "./fold.ts";
import type { State } from "./state.ts";

export class Draft {
  readonly rows: Row[] = [];
  /** Sealed secrets that are kept with the rows, by name; null takes one away. */
  readonly secrets = new Map<string, string | null>();
  #state: State;
  readonly #at: number;
  /** The time of the clock, which may have gone back behind the log's. */
  readonly now: number;
  readonly #prices: () => PriceTable;

  /** `at` is the time of all rows; it is raised to the log's last time, so `at` never falls. */
  constructor(state: State, at: number, prices: () => PriceTable = () => PRICES) {
    this.#state = state;
    this.#prices = prices;
    this.#at = Math.max(at, state.at);
    this.now = at;
  }

  get state(): State {
    return this.#state;
  }

  /** What calls that end in it cost. Read only then: most drafts end none. */
  get prices(): PriceTable {
    return this.#prices();
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
