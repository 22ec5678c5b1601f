/** Limits of tier Start, per minute. */
const PER_MINUTE = {
  requests: 1_000,
  "input-tokens": 2_000_000,
  "output-tokens": 400_000,
} as const;

type Kind = keyof typeof PER_MINUTE;
const KINDS: readonly Kind[] = ["requests", "input-tokens", "output-tokens"];
const MINUTE = 60_000;

/**
 * Token buckets that only report: the headers fall and refill as the API's do, and nothing is
 * refused. A 429 is scripted where a test wants one.
 */
export class RateLimits {
  readonly #used: Record<Kind, number> = { requests: 0, "input-tokens": 0, "output-tokens": 0 };
  #at = 0;

  /** Takes a request's share. Tokens read from the cache are not counted as input. */
  take(used: Partial<Record<Kind, number>>, now: number): void {
    this.#refill(now);
    for (const kind of KINDS) this.#used[kind] += used[kind] ?? 0;
  }

  /** The `anthropic-ratelimit-*` headers at `now`. */
  headers(now: number): Record<string, string> {
    this.#refill(now);
    const headers: Record<string, string> = {};
    const set = (name: string, limit: number, used: number) => {
      const reset = now + Math.ceil((used / limit) * MINUTE);
      const prefix = `anthropic-ratelimit-${name}`;
      headers[`${prefix}-limit`] = String(limit);
      headers[`${prefix}-remaining`] = String(Math.max(0, Math.floor(limit - used)));
      headers[`${prefix}-reset`] = new Date(reset).toISOString();
    };
    for (const kind of KINDS) set(kind, PER_MINUTE[kind], this.#used[kind]);
    set(
      "tokens",
      PER_MINUTE["input-tokens"] + PER_MINUTE["output-tokens"],
      this.#used["input-tokens"] + this.#used["output-tokens"],
    );
    return headers;
  }

  #refill(now: number): void {
    const elapsed = Math.max(0, now - this.#at);
    this.#at = now;
    for (const kind of KINDS) {
      this.#used[kind] = Math.max(0, this.#used[kind] - (PER_MINUTE[kind] * elapsed) / MINUTE);
    }
  }
}
