/** `curl`: through the guard, as everything that leaves this server. */
import type { BashOptions } from "just-bash";
import type { GuardedRequester } from "../../net/request.ts";
import { MAX_DOWNLOAD, MAX_MS } from "./limits.ts";

type ShellFetch = NonNullable<BashOptions["fetch"]>;

/** `refused` is told why there was no answer, as `curl -s` would keep that to itself. */
export const shellFetch =
  (request: GuardedRequester, refused: (message: string) => void): ShellFetch =>
  async (address, options = {}) => {
    const { method = "GET", headers, body, followRedirects = false, timeoutMs, signal } = options;
    const answer = await request(address, {
      method,
      headers: { "user-agent": "curl/8", ...Object.fromEntries(new Headers(headers)) },
      ...(body === undefined ? {} : { body }),
      maxBytes: MAX_DOWNLOAD,
      timeoutMs: Math.min(timeoutMs ?? MAX_MS, MAX_MS),
      redirect: followRedirects ? "follow" : "manual",
      ...(signal ? { signal } : {}),
    });
    if (!answer.ok) {
      refused(`${address}: ${answer.message}.`);
      throw new Error(`${answer.message}.`);
    }
    return {
      status: answer.status,
      statusText: answer.statusText,
      headers: Object.fromEntries(answer.headers),
      body: answer.bytes,
      url: answer.url,
    };
  };
