/** Requests of tools to addresses that a user or a model gives. */
import type { Refusal } from "./guard.ts";

export interface GuardedRequest {
  method?: string;
  headers?: Record<string, string>;
  body?: Uint8Array<ArrayBuffer> | string;
  /** The largest body, in decoded bytes; a longer one is refused. */
  maxBytes: number;
  /** For all of it: redirects, headers and body. */
  timeoutMs: number;
  /**
   * `manual` gives a redirect as it is, `same-host` one to another host. Default: `follow`, each one
   * checked like the address.
   */
  redirect?: "follow" | "same-host" | "manual";
  /** Hosts that are not asked, be it by a redirect. */
  refuses?: (hostname: string) => boolean;
  /** Asks hosts over https that are not on the list of allowed ones. */
  secure?: boolean;
  signal?: AbortSignal;
}

export interface GuardedResponse {
  ok: true;
  /** The address that answered, after redirects. */
  url: string;
  status: number;
  statusText: string;
  headers: Headers;
  bytes: Uint8Array<ArrayBuffer>;
}

/** Any status is an answer; a refusal means that there is none. */
export type GuardedRequester = (
  address: string,
  request: GuardedRequest,
) => Promise<GuardedResponse | Refusal>;
