/** A key's rate limit: its account counts, and here stands what a response says of it. */
import { accountOf } from "../account/client.ts";
import type { RateStanding } from "../account/rate-table.ts";
import type { RateLimit } from "../shared/keys.ts";
import type { HttpContext } from "./context.ts";
import type { Problem } from "./problems.ts";
import { repeatedly } from "./submit.ts";

export interface Admitted {
  /** For the response, whatever it is. */
  headers: Record<string, string>;
  /** Null when the request may go on. */
  refusal: Problem | null;
}

/** Counts the request under its key. Null, and nobody is asked, where the key has no limit. */
export async function admitted(c: HttpContext): Promise<Admitted | null> {
  const { account, key } = c.get("caller");
  const limit = key.rate_limit;
  if (!limit) return null;
  const { bucket } = c.get("credential");
  // Should the account's object die over it, the repetition may count the request a second time.
  const answer = await repeatedly(() => accountOf(c.env, account).admit(bucket, limit));
  const headers = headersOf(limit, answer);
  const reset = headers["x-ratelimit-reset"];
  if (answer.admitted) return { headers, refusal: null };
  const refusal: Problem = {
    status: 429,
    code: "rate_limit_exceeded",
    detail: `Rate limit exceeded: ${limit.requests} in ${limit.window_seconds} s. Try again in ${reset} s.`,
  };
  return { headers: { ...headers, "retry-after": reset }, refusal };
}

/** Where the caller's key stands, for a response to what is not counted. Null where there is no limit. */
export async function standing(c: HttpContext): Promise<Record<string, string> | null> {
  const { account, key } = c.get("caller");
  const limit = key.rate_limit;
  if (!limit) return null;
  const { bucket } = c.get("credential");
  const client = accountOf(c.env, account);
  // What is asked for is not refused because nobody knows this.
  const answer = await client.rateStanding(bucket, limit).catch(() => null);
  return answer && headersOf(limit, answer);
}

const headersOf = (limit: RateLimit, { remaining, reset_ms }: RateStanding) => ({
  "x-ratelimit-limit": String(limit.requests),
  "x-ratelimit-remaining": String(remaining),
  "x-ratelimit-reset": String(Math.ceil(reset_ms / 1000)),
});
