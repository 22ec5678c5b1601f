/** When a failed model call is made again. Pure. */
import type { RetryPolicy } from "../shared/config.ts";

const MAX_RETRY_MS = 15 * 60_000;

export interface Attempts {
  /** Attempts of this step so far, the failed one included. */
  attempt: number;
  /** The same, with attempts that had produced output counted twice. */
  weight: number;
  /** When the step's first attempt began, milliseconds since the epoch. */
  firstAt: number;
  now: number;
  /** Milliseconds that the API asked us to wait. */
  retryAfter?: number;
  /** In [0, 1). */
  random: number;
}

/**
 * When the next attempt starts (milliseconds since the epoch), or null when attempts or time are
 * used up. Exponential backoff with full jitter, so that sessions which failed together do not
 * come back together; never earlier than the API asked for.
 */
export function nextAttempt(attempts: Attempts, policy: RetryPolicy): { at: number } | null {
  if (attempts.weight >= policy.attempts) return null;
  const grown = policy.firstMs * policy.factor ** (attempts.attempt - 1);
  const ceiling = Math.min(grown, policy.longestMs);
  const wait = Math.max(Math.round(attempts.random * ceiling), attempts.retryAfter ?? 0);
  const at = attempts.now + wait;
  return at - attempts.firstAt > MAX_RETRY_MS ? null : { at };
}
