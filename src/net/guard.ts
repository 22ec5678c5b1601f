/**
 * The one guard for addresses that users give. Whatever the Worker fetches on a client's behalf
 * goes through `guardedFetch`, or it could be made to read what only the server can reach.
 *
 * A name is judged by its spelling: a Worker cannot resolve it before it fetches. A public name
 * that resolves to a private address is therefore let through here; in production Cloudflare's
 * network has no route from there to anybody's private addresses.
 */
import { type Clock, clock as systemClock } from "../shared/clock.ts";
import { isPublicIPv4, isPublicIPv6 } from "./ip-ranges.ts";
import type { GuardedRequest, GuardedResponse } from "./request.ts";

export interface Refusal {
  ok: false;
  /** Stable, snake_case. */
  code: string;
  /** The rule that was broken, as a sentence without its full stop. */
  message: string;
}

const refuse = (code: string, message: string): Refusal => ({ ok: false, code, message });

/** Names that mean something on a local network only (RFC 6761, RFC 8375, RFC 9476 and customs). */
const LOCAL_ZONES = [
  "localhost",
  "local",
  "localdomain",
  "localdomain4",
  "localdomain6",
  "internal",
  "intranet",
  "private",
  "corp",
  "home",
  "lan",
  "home.arpa",
  "svc",
  "alt",
  "test",
  "invalid",
  "onion",
];

/**
 * Whether `address` may be fetched: http or https on port 80 or 443, without credentials, at a
 * public host. `allow` lists `host` or `host:port` that are let through although they are not
 * (`FETCH_ALLOW_HOSTS`); without a port an entry means ports 80 and 443. With `secure` the host is
 * asked over https, unless it is on that list.
 */
export function checkAddress(
  address: string,
  allow: readonly string[],
  secure = false,
): { ok: true; url: URL } | Refusal {
  // Parsing leaves one spelling of each IP address: decimal, octal, hex and short forms of IPv4
  // become dotted, IPv4 inside IPv6 becomes hex.
  const url = URL.parse(address);
  if (!url) return refuse("url_invalid", "The URL is not valid");
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    return refuse("url_scheme", "The URL must begin with http:// or https://");
  }
  if (url.username !== "" || url.password !== "") {
    return refuse("url_credentials", "The URL must not contain a user name or password");
  }
  const port = portOf(url);
  const usual = port === "80" || port === "443";
  const allowed = allow.includes(`${url.hostname}:${port}`);
  if (!allowed && !usual) return refuse("url_port", "The URL's port must be 80 or 443");
  const listed = isListed(url, allow);
  if (!listed && !isPublicHost(url.hostname)) {
    return refuse("url_host", "The URL's host must be a public one");
  }
  if (secure && !listed) url.protocol = "https:";
  return { ok: true, url };
}

/**
 * Whether `address` may be a webhook: what may be fetched, and over https at a name and port 443 unless
 * its host is on the list.
 */
export function checkWebhookAddress(
  address: string,
  allow: readonly string[],
): { ok: true; url: URL } | Refusal {
  const checked = checkAddress(address, allow);
  if (!checked.ok || isListed(checked.url, allow)) return checked;
  const { url } = checked;
  if (url.protocol !== "https:") return refuse("url_scheme", "The URL must begin with https://");
  if (url.port !== "") return refuse("url_port", "The URL's port must be 443");
  if (isAddress(url.hostname)) return refuse("url_host", "The URL's host must be a name");
  return checked;
}

const isAddress = (hostname: string): boolean =>
  hostname.startsWith("[") || /^[0-9.]+$/.test(hostname);

const portOf = ({ port, protocol }: URL): string => port || (protocol === "https:" ? "443" : "80");

const isListed = (url: URL, allow: readonly string[]): boolean =>
  allow.includes(url.hostname) || allow.includes(`${url.hostname}:${portOf(url)}`);

function isPublicHost(hostname: string): boolean {
  if (hostname.startsWith("[")) return isPublicIPv6(hostname.slice(1, -1));
  if (hostname.endsWith(".")) {
    // workerd's parser keeps `127.0.0.1.` as it is; without the dot it is an address.
    const bare = URL.parse(`http://${hostname.slice(0, -1)}/`)?.hostname ?? "";
    return bare !== "" && !bare.endsWith(".") && isPublicHost(bare);
  }
  if (/^[0-9.]+$/.test(hostname)) return isPublicIPv4(hostname);
  if (!hostname.includes(".")) return false;
  return !LOCAL_ZONES.some((zone) => hostname === zone || hostname.endsWith(`.${zone}`));
}

export interface GuardedFetchOptions {
  /** The largest body, in decoded bytes. */
  maxBytes: number;
  /** For all of it: redirects, headers and body. */
  timeoutMs: number;
  /** Media types that are taken. */
  accept: readonly string[];
  /** `FETCH_ALLOW_HOSTS`. */
  allow: readonly string[];
  fetch?: (url: URL, init: RequestInit) => Promise<Response>;
  clock?: Clock;
}

export interface Fetched {
  ok: true;
  bytes: Uint8Array;
  /** One of `accept`. */
  mediaType: string;
}

const MAX_REDIRECTS = 5;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);

/** Fetches what `address` names. Every redirect is checked like the address itself. */
export async function guardedFetch(
  address: string,
  options: GuardedFetchOptions,
): Promise<Fetched | Refusal> {
  const { accept } = options;
  const headers = { accept: accept.join(", "), "user-agent": "Ledge" };
  return guarded(address, { ...options, headers }, (response) => take(response, options));
}

/** What `guardedRequest` needs besides the request. */
export interface GuardedRequestOptions extends GuardedRequest {
  /** `FETCH_ALLOW_HOSTS`. */
  allow: readonly string[];
  fetch?: (url: URL, init: RequestInit) => Promise<Response>;
  clock?: Clock;
}

/** Sends a request of a tool. Any status is an answer; every redirect is checked like the address. */
export function guardedRequest(
  address: string,
  options: GuardedRequestOptions,
): Promise<GuardedResponse | Refusal> {
  return guarded(address, options, async (response, url) => {
    const bytes = await readBytes(response.body, options.maxBytes);
    if (!bytes) return tooLarge(options.maxBytes);
    const { status, statusText, headers } = response;
    return { ok: true, url: url.href, status, statusText, headers, bytes };
  });
}

export interface WebhookOptions {
  headers: Record<string, string>;
  body: Uint8Array<ArrayBuffer>;
  /** For all of it. */
  timeoutMs: number;
  /** `FETCH_ALLOW_HOSTS`. */
  allow: readonly string[];
  fetch?: (url: URL, init: RequestInit) => Promise<Response>;
  clock?: Clock;
}

/** Posts to a webhook. Any status is an answer, that of a redirect too, and its body is not read. */
export async function postWebhook(
  address: string,
  options: WebhookOptions,
): Promise<{ ok: true; status: number } | Refusal> {
  const checked = checkWebhookAddress(address, options.allow);
  if (!checked.ok) return checked;
  const how = { ...options, method: "POST", redirect: "manual" as const };
  return guarded(address, how, async ({ status, body }) => {
    await body?.cancel();
    return { ok: true, status };
  });
}

/** Sends a request and gives its final response to `take`, within the time and at checked hosts. */
async function guarded<T>(
  address: string,
  options: Omit<GuardedRequestOptions, "maxBytes">,
  take: (response: Response, url: URL) => Promise<T>,
): Promise<T | Refusal> {
  const { timeoutMs, clock = systemClock } = options;
  const timeout = new AbortController();
  const cancel = clock.after(timeoutMs, () => timeout.abort());
  const signal = options.signal
    ? AbortSignal.any([options.signal, timeout.signal])
    : timeout.signal;
  try {
    const reached = await followRedirects(address, options, signal);
    return "ok" in reached ? reached : await take(reached.response, reached.url);
  } catch {
    if (timeout.signal.aborted) {
      return refuse("fetch_timeout", `The URL did not answer within ${timeoutMs / 1000} seconds`);
    }
    if (signal.aborted) return refuse("fetch_aborted", "The request was stopped");
    return refuse("fetch_failed", "The URL could not be fetched");
  } finally {
    cancel();
  }
}

async function followRedirects(
  address: string,
  options: Omit<GuardedRequestOptions, "maxBytes">,
  signal: AbortSignal,
): Promise<{ response: Response; url: URL } | Refusal> {
  const { allow, fetch = (url, init) => globalThis.fetch(url, init) } = options;
  let { method = "GET", body } = options;
  let headers = withoutHeaders(options.headers ?? {}, ADDRESSED);
  let next = address;
  for (let hop = 0; hop <= MAX_REDIRECTS; hop += 1) {
    const checked = checkAddress(next, allow, options.secure);
    if (!checked.ok) return checked;
    const { url } = checked;
    if (options.refuses?.(url.hostname)) return refuse("url_denied", "A rule denies this host");
    const init = { method, headers, redirect: "manual" as const, signal };
    const response = await fetch(url, body === undefined ? init : { ...init, body });
    const location = response.headers.get("location");
    const moved = REDIRECTS.has(response.status) && location !== null;
    if (!moved || options.redirect === "manual") return { response, url };
    const target = URL.parse(location, url);
    if (target && options.redirect === "same-host" && !isSameHost(target, url)) {
      return { response, url };
    }
    await response.body?.cancel();
    if (!target) return refuse("url_invalid", "The URL redirects to one that is not valid");
    // As the Fetch standard has it: these ask for the new address without the body.
    const seeOther = response.status === 303 && method !== "HEAD";
    if (seeOther || (response.status < 303 && method === "POST")) {
      method = "GET";
      body = undefined;
      headers = withoutHeaders(headers, BODY_HEADERS);
    }
    if (target.origin !== url.origin) headers = withoutHeaders(headers, CREDENTIALS);
    next = target.href;
  }
  return refuse("fetch_redirects", `The URL redirects more than ${MAX_REDIRECTS} times`);
}

/** The same site for a reader: `www.` in front of a name makes no difference. */
const isSameHost = (a: URL, b: URL): boolean =>
  a.host.replace(/^www\./, "") === b.host.replace(/^www\./, "");

/** The address says which host is asked, and it alone was checked. */
const ADDRESSED = new Set(["host"]);
/** Credentials for one host are not for the one that it redirects to. */
const CREDENTIALS = new Set(["authorization", "cookie", "proxy-authorization", "x-api-key"]);
/** What is said of a body that is not sent any more. */
const BODY_HEADERS = new Set([
  "content-type",
  "content-length",
  "content-encoding",
  "content-language",
  "content-location",
]);

const withoutHeaders = (
  headers: Record<string, string>,
  left: ReadonlySet<string>,
): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => !left.has(name.toLowerCase())));

/** The body of a final response, if it is one of the accepted kind and size. */
async function take(
  response: Response,
  { accept, maxBytes }: GuardedFetchOptions,
): Promise<Fetched | Refusal> {
  const mediaType = response.headers.get("content-type")?.split(";")[0]?.trim().toLowerCase() ?? "";
  const refusal = !response.ok
    ? refuse("fetch_status", `The URL answered with status ${response.status}`)
    : !accept.includes(mediaType)
      ? refuse("fetch_media_type", `The URL's content must be ${accept.join(", ")}`)
      : Number(response.headers.get("content-length")) > maxBytes
        ? tooLarge(maxBytes)
        : null;
  if (refusal) {
    await response.body?.cancel();
    return refusal;
  }
  const bytes = await readBytes(response.body, maxBytes);
  return bytes ? { ok: true, bytes, mediaType } : tooLarge(maxBytes);
}

const tooLarge = (maxBytes: number): Refusal =>
  refuse("fetch_too_large", `The URL's content is larger than ${maxBytes} bytes`);

/** All bytes of `body`, or null when there are more than `maxBytes`. */
async function readBytes(
  body: ReadableStream<Uint8Array> | null,
  maxBytes: number,
): Promise<Uint8Array<ArrayBuffer> | null> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body ?? []) {
    size += chunk.byteLength;
    if (size > maxBytes) return null;
    chunks.push(chunk);
  }
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.byteLength;
  }
  return bytes;
}
