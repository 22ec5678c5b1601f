/** Rate limits: an exact sliding window for each key. */
import { clock } from "../shared/clock.ts";
import type { RateLimit } from "../shared/keys.ts";

export const RATE_TABLE = `
CREATE TABLE IF NOT EXISTS rate (
  -- Which key: key_<ulid>, or the place of a configured one among those of the account.
  bucket TEXT PRIMARY KEY,
  -- When it was let through, in milliseconds since the epoch, oldest first: float64, one behind the
  -- other. A blob, so that a request writes one row whatever the limit is.
  times BLOB NOT NULL
) WITHOUT ROWID, STRICT;
`;

export interface RateAnswer {
  admitted: boolean;
  /** How many more would be let through now. */
  remaining: number;
  /** Until the oldest leaves the window; of a refusal: until one more would be let through. */
  reset_ms: number;
}

export type RateStanding = Omit<RateAnswer, "admitted">;

/**
 * Whether one more fits into the window that ends now: fewer than `requests` were let through in it.
 * One leaves when it is exactly as old as the window is long.
 *
 * @param times when others were let through, oldest first
 * @returns the answer, and the times that count from now on
 */
export function slide(
  times: readonly number[],
  { requests, window_seconds }: RateLimit,
  now: number,
): RateAnswer & { times: number[] } {
  const window = window_seconds * 1000;
  // A clock that went back would else hold what is ahead of it for longer than the window.
  const counted = times.map((at) => Math.min(at, now)).filter((at) => now - at < window);
  const admitted = counted.length < requests;
  if (admitted) counted.push(now);
  const oldest = counted.at(-requests) ?? counted[0] ?? now;
  return {
    admitted,
    remaining: Math.max(0, requests - counted.length),
    reset_ms: oldest + window - now,
    times: counted,
  };
}

/** Needs the table above. */
export class RateTable {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** Writes one row when the request is let through, and none when it is refused. */
  admit(bucket: string, limit: RateLimit): RateAnswer {
    const { times, ...answer } = slide(this.#times(bucket), limit, clock.now());
    if (answer.admitted) {
      this.#sql.exec(
        "INSERT INTO rate (bucket, times) VALUES (?, ?) ON CONFLICT DO UPDATE SET times = excluded.times",
        bucket,
        new Float64Array(times).buffer,
      );
    }
    return answer;
  }

  /** Where the window stands, for a request that is none of those that count. */
  standing(bucket: string, { requests, window_seconds }: RateLimit): RateStanding {
    const [now, window] = [clock.now(), window_seconds * 1000];
    const counted = this.#times(bucket).filter((at) => now - at < window);
    const [oldest] = counted.slice(-requests);
    return {
      remaining: Math.max(0, requests - counted.length),
      reset_ms: oldest === undefined ? 0 : Math.min(oldest, now) + window - now,
    };
  }

  #times(bucket: string): number[] {
    const query = "SELECT times FROM rate WHERE bucket = ?";
    const [row] = this.#sql.exec<{ times: ArrayBuffer }>(query, bucket).toArray();
    return row ? [...new Float64Array(row.times)] : [];
  }
}
