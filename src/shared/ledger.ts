/**
 * What a session used, by day, model and managed key. A figure is a sum since the day began and says up to which
 * row it counts, so a report of it can be repeated, come late or never: the highest `seq` is true.
 */
import type { Usage } from "./usage.ts";

const DAY_MS = 24 * 60 * 60 * 1000;

export interface LedgerEntry {
  /** Days since the epoch, in UTC. */
  day: number;
  model: string;
  /** `key_<ulid>` of the managed key that pays; absent with any other key. */
  key?: string;
  /** The last row that counts. */
  seq: number;
  /** Model calls that used something. */
  calls: number;
  /** Turns that ended. */
  turns: number;
  usage: Usage;
  /** US dollars of the calls that have a price. */
  cost_usd: number;
  /** The part of it that is an estimate. */
  estimated_usd: number;
  /** Calls without a price. */
  unpriced_calls: number;
}

export const dayOf = (at: number): number => Math.floor(at / DAY_MS);

export const startOfDay = (day: number): number => day * DAY_MS;

/** `YYYY-MM-DD` */
export const isoDay = (day: number): string => new Date(day * DAY_MS).toISOString().slice(0, 10);

/** The day of that form, counted so; null when there is none, as on the 30th of February. */
export function dayIn(text: string): number | null {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) return null;
  const at = Date.parse(text);
  return Number.isNaN(at) || isoDay(dayOf(at)) !== text ? null : dayOf(at);
}

/** The first day of the month that a day is in, and that of the next month. */
export function monthOf(day: number): { first: number; next: number } {
  const date = new Date(day * DAY_MS);
  const month = (offset: number) =>
    dayOf(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + offset, 1));
  return { first: month(0), next: month(1) };
}
