/** Managed keys: made, listed, changed and revoked by who has the scope `admin`. */
import { ulid } from "ulid";
import * as v from "valibot";
import { accountOf } from "../../account/client.ts";
import { MAX_ACCOUNTS, MAX_KEYS } from "../../account/key-table.ts";
import { accountId } from "../../http/auth.ts";
import { readJson } from "../../http/body.ts";
import { digestOf, forget, newKeyText } from "../../http/caller.ts";
import { hashJson } from "../../http/canonical.ts";
import type { HttpContext } from "../../http/context.ts";
import { conflict, invalidField, notFound, ProblemError, respond } from "../../http/problems.ts";
import { repeatedly } from "../../http/submit.ts";
import { parse } from "../../http/validate.ts";
import { clock } from "../../shared/clock.ts";
import type { AccountBudgets } from "../../shared/config.ts";
import { ACCOUNT_NAME, DEFAULT_ACCOUNT } from "../../shared/config-readers.ts";
import type { Json, JsonObject } from "../../shared/content.ts";
import {
  type KeyChanges,
  type KeySettings,
  keyStatus,
  keyUlid,
  MAX_RATE_REQUESTS,
  MAX_RATE_WINDOW,
  type ManagedKey,
  NO_BUDGETS,
  publicKeyId,
  SCOPES,
} from "../../shared/keys.ts";
import { dayIn } from "../../shared/ledger.ts";
import { found } from "../common/address.ts";
import { BudgetField } from "../common/fields.ts";
import { KEY_CONFLICT, keyId } from "../common/key.ts";
import { pageAsked } from "./page.ts";
import { usd } from "./usage.ts";

const MAX_NAME = 100;
const TEN_YEARS = 10 * 366 * 24 * 60 * 60;

const AccountName = v.pipe(v.string(), v.regex(ACCOUNT_NAME));

const whole = (max: number) => v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(max));

const Name = v.pipe(v.string(), v.minLength(1), v.maxLength(MAX_NAME));
const Scopes = v.pipe(v.array(v.picklist(SCOPES)), v.minLength(1), v.maxLength(SCOPES.length));

const LIMITS = {
  rate_limit: v.nullish(
    v.strictObject({
      requests: whole(MAX_RATE_REQUESTS),
      window_seconds: whole(MAX_RATE_WINDOW),
    }),
  ),
  budgets: v.nullish(
    v.strictObject({
      day_usd: v.nullish(BudgetField),
      month_usd: v.nullish(BudgetField),
      total_usd: v.nullish(BudgetField),
    }),
  ),
  expires_at: v.nullish(v.string()),
  expires_in_seconds: v.nullish(whole(TEN_YEARS)),
};

export const CreateKey = v.strictObject({
  name: Name,
  account: v.nullish(AccountName),
  scopes: v.nullish(Scopes),
  ...LIMITS,
});

export const UpdateKey = v.strictObject({
  name: v.optional(Name),
  scopes: v.optional(Scopes),
  ...LIMITS,
});

export const KeyQuery = v.object({ account: v.optional(AccountName) });

type Limits = Pick<v.InferOutput<typeof UpdateKey>, keyof typeof LIMITS>;

/** `POST /api/keys` */
export async function createKey(c: HttpContext): Promise<Response> {
  const sent = keyId(c, "keys");
  const body = await readJson(c.req.raw, c.get("config").maxBodyBytes);
  const asked = parse(CreateKey, body);
  const account = await target(c, asked.account ?? undefined);
  const now = clock.now();
  const id = ulid(now);
  const text = newKeyText({ account: account.id, id });
  const { budgets, ...limits } = changesOf(asked, now);
  const key: ManagedKey = {
    id,
    account: account.name,
    digest: (await digestOf(text)).toHex(),
    last_four: text.slice(-4),
    name: asked.name,
    scopes: scopesOf(asked.scopes ?? ["read", "run"]),
    rate_limit: null,
    budgets: { ...NO_BUDGETS, ...budgets },
    expires_at: null,
    ...limits,
    created_at: now,
    revoked_at: null,
  };
  const own = c.get("account");
  if (account.id !== own) {
    const noted = await repeatedly(() => accountOf(c.env, own).rememberAccount(account.name));
    if (!noted) return respond(c, conflict("too_many_accounts", TOO_MANY_ACCOUNTS));
  }
  const again = await sentKey(sent, body);
  const made = await repeatedly(() => accountOf(c.env, account.id).createKey(key, again));
  switch (made.kind) {
    case "conflict":
      return respond(c, KEY_CONFLICT);
    case "full":
      return respond(c, conflict("too_many_keys", TOO_MANY));
    case "exists": {
      const other = publicKeyId(made.key.id);
      const detail = `This Idempotency-Key has made the key ${other}, whose text is shown only once. If it was lost, delete that key and make another.`;
      const headers = { "idempotency-replayed": "true" };
      return respond(c, { ...conflict("key_shown_once", detail), headers, extra: { id: other } });
    }
    case "created": {
      // Somebody may have asked for it under the same id before.
      forget({ account: account.id, id });
      const other = account.id === own ? "" : `?account=${account.name}`;
      const location = `/api/keys/${publicKeyId(id)}${other}`;
      return c.json({ ...keyObject(made.key, now), key: text }, 201, { location });
    }
  }
}

/** `GET /api/keys` */
export async function listKeys(c: HttpContext): Promise<Response> {
  const account = await addressedAccount(c);
  const { limit, cursor } = pageAsked(c, keyUlid);
  const page = await repeatedly(() => accountOf(c.env, account.id).listKeys({ limit, cursor }));
  const now = clock.now();
  const last = page.keys.at(-1);
  return c.json({
    data: page.keys.map((key) => keyObject(key, now)),
    has_more: page.more,
    next_cursor: page.more && last ? publicKeyId(last.id) : null,
    ...(account.name === DEFAULT_ACCOUNT ? { accounts: page.accounts } : {}),
  });
}

/** `GET /api/keys/{id}` */
export async function getKey(c: HttpContext): Promise<Response> {
  const { account, id } = await addressedKey(c);
  const standing = await repeatedly(() => accountOf(c.env, account).keyStanding(id));
  const { key, budgets } = found(standing, "Key");
  const spent = budgets.map(({ name, spent_usd }) => [`${name}_usd`, usd(spent_usd)]);
  return c.json({ ...keyObject(key, clock.now()), spent: Object.fromEntries(spent) });
}

/** `PATCH /api/keys/{id}` */
export async function updateKey(c: HttpContext): Promise<Response> {
  const place = await addressedKey(c);
  const sent = keyId(c, `key ${place.id}`);
  const body = await readJson(c.req.raw, c.get("config").maxBodyBytes);
  const asked = parse(UpdateKey, body);
  const account = accountOf(c.env, place.account);
  const known = found(await repeatedly(() => account.managedKey(place.id)), "Key");
  if (known.revoked_at !== null) return respond(c, REVOKED);
  const now = clock.now();
  const changes: KeyChanges = {
    ...(asked.name === undefined ? {} : { name: asked.name }),
    ...(asked.scopes === undefined ? {} : { scopes: scopesOf(asked.scopes) }),
    ...changesOf(asked, now),
  };
  const again = await sentKey(sent, body);
  const call = ulid(now);
  const answer = await repeatedly(() => account.updateKey(place.id, changes, again, call));
  const updated = found(answer, "Key");
  if (updated.kind === "conflict") return respond(c, KEY_CONFLICT);
  forget(place);
  if (updated.replayed) c.header("idempotency-replayed", "true");
  return c.json(keyObject(updated.key, clock.now()));
}

/** `DELETE /api/keys/{id}` */
export async function revokeKey(c: HttpContext): Promise<Response> {
  const place = await addressedKey(c);
  const key = await repeatedly(() => accountOf(c.env, place.account).revokeKey(place.id));
  forget(place);
  return c.json(keyObject(found(key, "Key"), clock.now()));
}

const REVOKED = conflict("key_revoked", "This key is revoked for good. Make another one.");

const TOO_MANY = `The account has ${MAX_KEYS} keys that are in use. Revoke one that is not needed.`;

const TOO_MANY_ACCOUNTS = `There are keys for ${MAX_ACCOUNTS} other accounts, and no more may be.`;

/** A key as the wire shows it: never its text. */
function keyObject(key: ManagedKey, now: number): JsonObject {
  const { name, account, last_four, rate_limit, budgets } = key;
  return {
    id: publicKeyId(key.id),
    object: "api_key",
    name,
    account,
    scopes: [...key.scopes],
    last_four,
    status: keyStatus(key, now),
    rate_limit: rate_limit && { ...rate_limit },
    budgets: { day_usd: budgets.day, month_usd: budgets.month, total_usd: budgets.total },
    created_at: iso(key.created_at),
    expires_at: iso(key.expires_at),
    revoked_at: iso(key.revoked_at),
  };
}

const iso = (at: number | null): string | null => (at === null ? null : new Date(at).toISOString());

/** Each once, in the order in which they are listed. */
const scopesOf = (asked: KeySettings["scopes"]): KeySettings["scopes"] =>
  SCOPES.filter((scope) => asked.includes(scope));

/** What is absent stays as it is; null takes a limit away. */
function changesOf(asked: Limits, now: number): KeyChanges {
  const { rate_limit, budgets } = asked;
  const expires_at = expiryOf(asked, now);
  return {
    ...(rate_limit === undefined ? {} : { rate_limit }),
    ...(budgets === undefined ? {} : { budgets: budgetsOf(budgets) }),
    ...(expires_at === undefined ? {} : { expires_at }),
  };
}

/** Merged by the account: another request may change another one of them at the same time. */
function budgetsOf(asked: Limits["budgets"]): Partial<AccountBudgets> {
  if (!asked) return NO_BUDGETS;
  const { day_usd: day, month_usd: month, total_usd: total } = asked;
  return {
    ...(day === undefined ? {} : { day }),
    ...(month === undefined ? {} : { month }),
    ...(total === undefined ? {} : { total }),
  };
}

function expiryOf(
  { expires_at, expires_in_seconds }: Limits,
  now: number,
): number | null | undefined {
  if (expires_in_seconds != null) {
    if (expires_at != null)
      throw wrong("expires_in_seconds", "conflict", "Give this or expires_at");
    return now + expires_in_seconds * 1000;
  }
  if (expires_at == null) return expires_at === undefined ? expires_in_seconds : null;
  const at = timeIn(expires_at);
  if (at === null) throw wrong("expires_at", "datetime_parsing", TIME_RULE);
  if (at <= now) throw wrong("expires_at", "datetime_future", "Input should be in the future");
  return at;
}

const TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})$/;
const TIME_RULE = "Input should be a time such as 2027-01-31T12:00:00Z";

function timeIn(text: string): number | null {
  // A 30th of February is read as one of March.
  const real = TIME.test(text) && dayIn(text.slice(0, 10)) !== null;
  const at = Date.parse(text);
  return real && !Number.isNaN(at) ? at : null;
}

const wrong = (field: string, type: string, message: string): ProblemError =>
  new ProblemError(invalidField(`body -> ${field}`, type, message));

async function sentKey(id: string | null, body: Json) {
  return id === null ? null : { id, hash: await hashJson(body) };
}

/**
 * The account whose keys are managed: the caller's own, or the one that is named by an admin of the
 * account `default`, who has set this server up.
 */
async function target(
  c: HttpContext,
  name: string | undefined,
): Promise<{ id: string; name: string }> {
  const own = c.get("credential").account;
  if (name === undefined || name === own) return { id: c.get("account"), name: own };
  if (own === DEFAULT_ACCOUNT) return { id: await accountId(name), name };
  throw new ProblemError({
    status: 403,
    code: "foreign_account",
    detail: `Only a key of the account ${DEFAULT_ACCOUNT} manages those of other accounts.`,
  });
}

const addressedAccount = (c: HttpContext) =>
  target(c, parse(KeyQuery, c.req.query(), "query").account);

async function addressedKey(c: HttpContext): Promise<{ account: string; id: string }> {
  const id = keyUlid(c.req.param("key") ?? "");
  if (id === null) throw new ProblemError(notFound("Key"));
  return { account: (await addressedAccount(c)).id, id };
}
