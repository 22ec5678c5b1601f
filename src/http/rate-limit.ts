/** A key's rate limit: its account counts, and here stands what a response says of it. */
import { accountOf } from "../account/client.ts";
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
  const reset = String(Math.ceil(answer.reset_ms / 1000));
  const headers = {
    "x-ratelimit-limit": String(limit.requests),
    "x-ratelimit-remaining": String(answer.remaining),
    "x-ratelimit-reset": reset,
  };
  if (answer.admitted) return { headers, refusal: null };
  const refusal: Problem = {
    status: 429,
    code: "rate_limit_exceeded",
    detail: `Rate limit exceeded: ${limit.requests} in ${limit.window_seconds} s. Try again in ${reset} s.`,
  };
  return { headers: { ...headers, "retry-after": reset }, refusal };
}
