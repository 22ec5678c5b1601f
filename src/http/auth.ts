import type { MiddlewareHandler } from "hono";
import type { Config } from "../shared/config.ts";
import { DEFAULT_ACCOUNT } from "../shared/config-readers.ts";
import { sha256Hex } from "./canonical.ts";
import type { HttpEnv } from "./context.ts";
import { type Problem, ProblemError, unauthorized, unavailable } from "./problems.ts";

/** The public id of the account `name`: also the name of its object. */
export const accountId = async (name: string): Promise<string> =>
  `acct_${(await sha256Hex(name)).slice(0, 16)}`;

type Identity = { kind: "account"; id: string } | { kind: "refused"; problem: Problem };

/**
 * Lets a request through when it brings a configured key, as `Authorization: Bearer` or
 * `X-API-Key`, and puts its account's id into the context. Without any configured key only
 * requests of this machine are let through, and only with `ALLOW_ANONYMOUS=true`.
 *
 * @example
 * app.use("/api/*", authentication());
 */
export const authentication = (): MiddlewareHandler<HttpEnv> =>
  async function authentication(c, next) {
    const identity = await identify(c.req.raw, c.get("config"));
    if (identity.kind === "refused") throw new ProblemError(identity.problem);
    c.set("account", identity.id);
    return next();
  };

/** Whose request it is. */
async function identify(request: Request, config: Config): Promise<Identity> {
  if (config.clientKeys.length === 0) return anonymous(request, config);
  const keys = await digestsOf(config);
  for (const presented of credentials(request.headers)) {
    const id = accountOf(keys, await digestOf(presented));
    if (id !== null) return { kind: "account", id };
  }
  return { kind: "refused", problem: unauthorized("Invalid or missing API key") };
}

function credentials(headers: Headers): string[] {
  const bearer = /^bearer +(\S+) *$/i.exec(headers.get("authorization") ?? "")?.[1];
  const apiKey = headers.get("x-api-key");
  return [bearer, apiKey].filter((one): one is string => typeof one === "string" && one !== "");
}

interface KeyDigest {
  digest: ArrayBuffer;
  account: string;
}

const digestOf = (text: string): Promise<ArrayBuffer> =>
  crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));

/**
 * Every key is compared, and each in constant time: `timingSafeEqual` needs equal lengths, which
 * digests have, so neither a key's length nor its place in the list shows in the time it takes.
 */
function accountOf(keys: readonly KeyDigest[], presented: ArrayBuffer): string | null {
  let found: string | null = null;
  for (const { digest, account } of keys) {
    if (crypto.subtle.timingSafeEqual(digest, presented)) found = account;
  }
  return found;
}

const digests = new WeakMap<Config, readonly KeyDigest[]>();

/** The digests of the configured keys, kept as values: a promise may not cross requests. */
async function digestsOf(config: Config): Promise<readonly KeyDigest[]> {
  const before = digests.get(config);
  if (before) return before;
  const made = await Promise.all(
    config.clientKeys.map(async ({ account, key }) => ({
      digest: await digestOf(key),
      account: await accountId(account),
    })),
  );
  digests.set(config, made);
  return made;
}

const HOW_TO_SET_A_KEY =
  "Set API_KEYS or CC_API_KEY, for example with `npx wrangler secret put CC_API_KEY`";

async function anonymous(request: Request, config: Config): Promise<Identity> {
  const reason = whyNotAnonymous(request, config.allowAnonymous);
  if (reason === null) return { kind: "account", id: await accountId(DEFAULT_ACCOUNT) };
  const problem = unavailable("no_api_key", `${reason}. ${HOW_TO_SET_A_KEY}.`);
  return { kind: "refused", problem };
}

/**
 * Null when the request comes from this machine and not from another site's page. The checks are:
 * `Host`, because a foreign name that resolves to 127.0.0.1 (DNS rebinding) makes a page same-origin;
 * `Origin`, which browsers send with every cross-origin POST, also with those that need no
 * preflight; `Sec-Fetch-Site`, for requests without an `Origin`, such as an image's.
 */
function whyNotAnonymous(request: Request, allowed: boolean): string | null {
  if (!allowed) return "This server has no API key";
  const host = request.headers.get("host");
  const origin = request.headers.get("origin");
  const hosts = [request.url, ...(host === null ? [] : [`http://${host}`])];
  if (!hosts.every(isLoopback)) return "Without an API key this server answers only at localhost";
  const foreign = request.headers.get("sec-fetch-site") === "cross-site";
  if (foreign || (origin !== null && !isLoopback(origin))) {
    return "Without an API key this server does not answer other sites' pages";
  }
  return null;
}

function isLoopback(address: string): boolean {
  const hostname = URL.parse(address)?.hostname ?? "";
  return (
    hostname === "localhost" ||
    hostname.endsWith(".localhost") ||
    hostname === "[::1]" ||
    /^127\.[0-9]+\.[0-9]+\.[0-9]+$/.test(hostname)
  );
}
