import type { MiddlewareHandler } from "hono";
import type { Config } from "../shared/config.ts";
import { DEFAULT_ACCOUNT } from "../shared/config-readers.ts";
import {
  anonymousIdentity,
  configuredIdentity,
  digestOf,
  type Identity,
  isManagedForm,
  keyEnded,
  managedIdentity,
  type Standing,
  sameDigest,
} from "./caller.ts";
import { sha256Hex } from "./canonical.ts";
import type { HttpContext, HttpEnv } from "./context.ts";
import { ProblemError, unauthorized, unavailable } from "./problems.ts";

/** The public id of the account `name`: also the name of its object. */
export const accountId = async (name: string): Promise<string> =>
  `acct_${(await sha256Hex(name)).slice(0, 16)}`;

/**
 * Lets a request through when it brings a key, as `Authorization: Bearer` or `X-API-Key`, and puts
 * into the context whose it is. Without any configured key also requests of this machine that bring
 * none are let through, but only with `ALLOW_ANONYMOUS=true`.
 *
 * @example
 * app.use("/api/*", authentication());
 */
export const authentication = (): MiddlewareHandler<HttpEnv> =>
  async function authentication(c, next) {
    admit(c, await identify(c));
    return next();
  };

/** Puts into the context whose request it is. */
export function admit(c: HttpContext, { caller, credential }: Identity): void {
  c.set("caller", caller);
  c.set("account", caller.account);
  c.set("credential", credential);
}

/** Refuses a key that was good, and leaves in the context whose it was. */
export function refuse(c: HttpContext, { end, identity }: EndedStanding): never {
  admit(c, identity);
  throw new ProblemError(keyEnded(end));
}

type EndedStanding = Extract<Standing, { kind: "ended" }>;

/**
 * Whose request it is.
 *
 * @throws ProblemError 401, or 503 where there is no key to be had
 */
export async function identify(c: HttpContext): Promise<Identity> {
  const config = c.get("config");
  const presented = credentials(c.req.raw.headers);
  const configured = await configuredIdentities(config);
  let refusal: Standing = { kind: "unknown" };
  for (const text of presented) {
    const found = identityOf(configured, await digestOf(text));
    if (found) return found;
    const managed = await managedIdentity(c.env, config, text);
    if (managed.kind === "good") return managed.identity;
    if (managed.kind === "ended") refusal = managed;
  }
  if (refusal.kind === "ended") refuse(c, refusal);
  // A key that was made here and is not good is never less than no key at all.
  const anonymous = config.clientKeys.length === 0 && !presented.some(isManagedForm);
  if (!anonymous) throw new ProblemError(unauthorized("Invalid or missing API key"));
  const reason = whyNotAnonymous(c.req.raw, config.allowAnonymous);
  if (reason === null) return anonymousOf(config);
  throw new ProblemError(unavailable("no_api_key", `${reason}. ${HOW_TO_SET_A_KEY}.`));
}

/** The text is a key of the configuration, whoever's. */
export async function isConfiguredKey(config: Config, text: string): Promise<boolean> {
  return identityOf(await configuredIdentities(config), await digestOf(text)) !== null;
}

/** Whom a ticket can be of that names no key: everybody of the account whose key stands in no table. */
export async function unnamedIdentities(config: Config, account: string): Promise<Identity[]> {
  const configured = await configuredIdentities(config);
  const all = configured.map(({ identity }) => identity);
  if (config.clientKeys.length === 0 && config.allowAnonymous) all.push(await anonymousOf(config));
  return all.filter(({ caller }) => caller.account === account);
}

function credentials(headers: Headers): string[] {
  const bearer = /^bearer +(\S+) *$/i.exec(headers.get("authorization") ?? "")?.[1];
  const apiKey = headers.get("x-api-key");
  return [bearer, apiKey].filter((one): one is string => typeof one === "string" && one !== "");
}

interface Configured {
  digest: Uint8Array;
  identity: Identity;
}

/**
 * Every key is compared, and each in constant time, so neither a key's length nor its place in the
 * list shows in the time it takes.
 */
function identityOf(keys: readonly Configured[], presented: Uint8Array): Identity | null {
  let found: Identity | null = null;
  for (const { digest, identity } of keys) if (sameDigest(digest, presented)) found = identity;
  return found;
}

const known = new WeakMap<Config, readonly Configured[]>();

/** Whom the configured keys are of, kept as values: a promise may not cross requests. */
async function configuredIdentities(config: Config): Promise<readonly Configured[]> {
  const before = known.get(config);
  if (before) return before;
  const made = await Promise.all(
    config.clientKeys.map(async ({ account: name, key }, at) => {
      const account = { id: await accountId(name), name };
      const others = config.clientKeys.slice(0, at).filter((other) => other.account === name);
      const digest = await digestOf(key);
      const identity = configuredIdentity(config, account, others.length, digest.toHex());
      return { digest, identity };
    }),
  );
  known.set(config, made);
  return made;
}

const HOW_TO_SET_A_KEY =
  "Set API_KEYS or CC_API_KEY, for example with `npx wrangler secret put CC_API_KEY`";

const anonymousOf = async (config: Config): Promise<Identity> =>
  anonymousIdentity(config, { id: await accountId(DEFAULT_ACCOUNT), name: DEFAULT_ACCOUNT });

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
