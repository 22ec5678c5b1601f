/** Git over HTTP, through the guard. */
import type { GitHttpRequest, GitHttpResponse, HttpClient } from "isomorphic-git";
import { checkAddress } from "../net/guard.ts";
import type { GuardedRequester } from "../net/request.ts";

/** Bytes of all answers to one command. */
export const MAX_REPOSITORY_BYTES = 25 * 1024 * 1024;

const TIMEOUT_MS = 20_000;

/** Why git may not ask that server, or got no answer. */
export class GitRefused extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** @throws GitRefused when a repository's address is not one that git may use */
export function checkRepository(address: string): void {
  const url = URL.parse(address);
  if (!url || (url.protocol !== "https:" && url.protocol !== "http:")) {
    // Without the address, in which a password may stand.
    throw new GitRefused("url_scheme", "Only https:// addresses are supported.");
  }
  if (url.username !== "" || url.password !== "") {
    throw new GitRefused(
      "url_credentials",
      "The address must not contain a user name or password.",
    );
  }
  // The guard alone knows which other hosts are let through.
  if (url.protocol === "http:" && checkAddress(address, []).ok) {
    throw new GitRefused("url_scheme", "Public repositories are read over https:// only.");
  }
}

/** The transport of one command; all of its answers share one limit. */
export function gitHttp(request: GuardedRequester): HttpClient {
  let left = MAX_REPOSITORY_BYTES;
  return {
    async request({
      url,
      method = "GET",
      headers,
      body,
    }: GitHttpRequest): Promise<GitHttpResponse> {
      checkRepository(url);
      const sent = body === undefined ? undefined : await collected(body);
      const answer = await request(url, {
        method,
        headers: { ...withoutCredentials(headers), "user-agent": "git/ledge" },
        ...(sent === undefined ? {} : { body: sent }),
        maxBytes: left,
        timeoutMs: TIMEOUT_MS,
      });
      if (!answer.ok) throw refusalOf(answer.code, answer.message);
      left -= answer.bytes.byteLength;
      return {
        url: answer.url,
        method,
        statusCode: answer.status,
        statusMessage: answer.statusText,
        headers: Object.fromEntries(answer.headers),
        body: only(answer.bytes),
      };
    },
  };
}

function refusalOf(code: string, message: string): GitRefused {
  if (code !== "fetch_too_large") return new GitRefused(code, `${message}.`);
  return new GitRefused(
    "repository_too_large",
    `The repository is larger than ${MAX_REPOSITORY_BYTES} bytes.`,
  );
}

/** An address has none, so these come from nowhere that we know. */
const withoutCredentials = (headers: Record<string, string> = {}): Record<string, string> =>
  Object.fromEntries(
    Object.entries(headers).filter(([name]) => name.toLowerCase() !== "authorization"),
  );

async function* only(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, void> {
  yield bytes;
}

async function collected(
  body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<Uint8Array<ArrayBuffer>> {
  const pieces: Uint8Array[] = [];
  for await (const piece of body) pieces.push(piece);
  const whole = new Uint8Array(pieces.reduce((size, { byteLength }) => size + byteLength, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.byteLength;
  }
  return whole;
}
