/** Puts together what belongs to an existing session. */
import { accountOf } from "../account/client.ts";
import type { Env } from "../env.ts";
import { PRICES, withPrices } from "../model/prices.ts";
import { guardedRequest } from "../net/guard.ts";
import type { GuardedRequester } from "../net/request.ts";
import { clock } from "../shared/clock.ts";
import { type Config, type RetryPolicy, readConfig, type Variables } from "../shared/config.ts";
import { sessionId } from "../shared/ids.ts";
import { followLogLevel } from "../shared/log-level.ts";
import { FULL_BYTES } from "../shared/storage-limit.ts";
import type { Surroundings } from "./admission.ts";
import type { BudgetRules } from "./budget.ts";
import { Leases } from "./budget-lease.ts";
import { sessionObjectName } from "./calls.ts";
import type { Refusal } from "./commands.ts";
import type { Draft } from "./draft.ts";
import { Expiry } from "./expiry.ts";
import { type FaultPoint, faultPoint, faultPointsOfCommit } from "./fault-points.ts";
import { SessionFiles } from "./files.ts";
import type { Followers } from "./followers.ts";
import { noteInstructions } from "./instructions.ts";
import { knownJob } from "./job-record.ts";
import { Loop } from "./loop.ts";
import type { MediaStore } from "./media.ts";
import { claimName } from "./naming.ts";
import { nextWake } from "./next.ts";
import { Outbox } from "./outbox.ts";
import { OwnKeys } from "./own-key.ts";
import { Removal } from "./removal.ts";
import { ToolRunner } from "./run-tools.ts";
import { settledCall } from "./settled.ts";
import type { Store } from "./store.ts";
import { Webhooks } from "./webhooks.ts";

export interface Parts {
  store: Store;
  loop: Loop;
  outbox: Outbox;
  tools: ToolRunner;
  files: SessionFiles;
  leases: Leases;
  expiry: Expiry;
  removal: Removal;
  /** Claims a name for the session at its account. */
  claimName: (name: string) => Promise<Refusal | null>;
  ownKeys: OwnKeys;
  webhooks: Webhooks;
  /** Percent of the window above which a context is compacted: `COMPACT_AT_PERCENT`. */
  compactAt: () => number;
  /** After so many minutes an idle session is compacted: `COMPACT_IDLE_MINUTES`. */
  idleMinutes: () => number;
}

export interface Surrounding {
  ctx: DurableObjectState;
  env: () => Env;
  media: MediaStore;
  followers: Followers;
  /** Writes a draft, tells the followers, keeps the alarm. */
  commit: (draft: Draft) => void;
}

/** The object's name is `<account>/<ulid>`. */
export function namesOf(ctx: DurableObjectState): { account: string; session: string } {
  const [account = "", session = ""] = (ctx.id.name ?? "").split("/");
  return { account, session };
}

export function assemble(store: Store, around: Surrounding): Parts {
  const { ctx, env, media, followers, commit } = around;
  followLogLevel(env());
  const { account, session } = namesOf(ctx);
  const config = () => configured(env());
  const reach = (point: FaultPoint) => faultPoint(ctx, point);
  const place = { account, session: sessionId(session) };
  const edges = { store, media, followers, commit, reach, place };
  const tools = new ToolRunner({ ...edges, storage: ctx.storage, request: requester(env) });
  const expiry = new Expiry({
    sql: ctx.storage.sql,
    store,
    after: () => config()?.sessionTimeoutMs ?? null,
  });
  const files = new SessionFiles({
    storage: ctx.storage,
    workspace: () => tools.workspace,
    request: requester(env),
    reach,
    written(by) {
      expiry.touch();
      const draft = store.draft();
      noteInstructions(draft, tools.workspace, by);
      if (draft.rows.length > 0) commit(draft);
      else faultPointsOfCommit(ctx);
    },
    deleted: () => store.state.deleted,
  });
  const reported = { account: () => accountOf(env(), account), session, store, reach };
  const unnamed = () => {
    // Nothing follows the row of a deletion, which may have come while the account was asked.
    if (store.state.deleted) return;
    const draft = store.draft();
    const submission = `unnamed-${draft.next}`;
    draft.add({ type: "session.updated", body: { submission, config: { name: null } } });
    commit(draft);
  };
  const outbox = new Outbox({ ...reported, unnamed });
  const leases = new Leases({ ...reported, commit });
  const names = { session: sessionObjectName(account, session), account };
  const ownKeys = new OwnKeys({ env, store, account: reported.account, names });
  const rules = () => rulesOf(env());
  store.prices = () => rules().prices;
  const compactAt = () => config()?.compactAtPercent ?? 0;
  const idleMinutes = () => config()?.compactIdleMinutes ?? 0;
  const hold = (step: Promise<void>) => ctx.waitUntil(step);
  const loop = new Loop({
    ...edges,
    tools,
    budget: { rules, ask: (asked) => leases.ask(asked) },
    upstream: ownKeys.upstream,
    compactAt,
    idleMinutes,
    retry: () => config()?.retry ?? NO_RETRY,
    hold,
  });
  const removal = new Removal({ ...reported, ctx });
  const webhooks = new Webhooks({ ...edges, account, session, config, hold });
  return {
    store,
    loop,
    outbox,
    tools,
    files,
    leases,
    ownKeys,
    expiry,
    removal,
    webhooks,
    claimName: (name) => claimName({ ...reported, outbox }, name),
    compactAt,
    idleMinutes,
  };
}

/** When the session must be woken although nobody calls; null when it need not be: see `nextWake`. */
export const wakeTime = ({ store, expiry, idleMinutes }: Parts, owes: boolean): number | null =>
  nextWake(store.state, clock.now(), {
    owes,
    idleMinutes: idleMinutes(),
    expires: expiry.wake,
  });

/** What an admission asks of the rest of the session. */
export const surroundingsOf = (
  { store, loop, compactAt }: Parts,
  followers: Followers,
  sql: SqlStorage,
): Surroundings => ({
  cut: (draft) => loop.cut(draft),
  settled: (tool) => settledCall(store.log, tool),
  read(input) {
    const submission = store.state.submissions.find(([, seq]) => seq === input)?.[0];
    return submission !== undefined && followers.reads(submission);
  },
  full: sql.databaseSize > FULL_BYTES,
  compactAt: compactAt(),
  isInput: (seq) => store.log.rowOf("input", seq) !== null,
  job: (input) => knownJob(store, input),
});

/** Made once for each configuration. */
const known = new WeakMap<Config, BudgetRules>();

function rulesOf(env: Variables): BudgetRules {
  const result = readConfig(env);
  // With a wrong configuration nothing is served; what still runs spends nothing unasked.
  if (!result.ok) return { prices: PRICES, leased: true };
  const { config } = result;
  const rules = known.get(config) ?? {
    prices: withPrices(config.prices),
    leased: Object.values(config.budgets).some((limit) => limit !== null),
  };
  known.set(config, rules);
  return rules;
}

/** The configuration; null while a variable is wrong. */
function configured(env: Variables): Config | null {
  const result = readConfig(env);
  return result.ok ? result.config : null;
}

/** With a wrong configuration there is no upstream, and nothing to try again. */
const NO_RETRY: RetryPolicy = { attempts: 1, firstMs: 0, factor: 1, longestMs: 0 };

/** Requests of tools, with the hosts that the configuration lets through. */
const requester =
  (env: () => Variables): GuardedRequester =>
  (address, request) =>
    guardedRequest(address, { ...request, allow: configured(env())?.fetchAllowHosts ?? [] });
