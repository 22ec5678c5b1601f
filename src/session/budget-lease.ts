/** Asks the account for leases and gives them back: what `budget.ts` decides is done here. */
import type { Grant } from "../account/budgets.ts";
import type { AccountClient } from "../account/client.ts";
import { clock } from "../shared/clock.ts";
import type { Fact } from "../shared/rows.ts";
import { owedAudit } from "./audit.ts";
import { addReturn } from "./budget-state.ts";
import type { Draft } from "./draft.ts";
import type { FaultPoint } from "./fault-points.ts";
import { next } from "./next.ts";
import { dayAt, owedEntries, summaryOf } from "./outbox.ts";
import type { OpenTurn } from "./state.ts";
import type { Store } from "./store.ts";

export interface LeaseEdges {
  account: () => AccountClient;
  /** The session's ULID. */
  session: string;
  store: Store;
  /** Writes a draft, tells the followers, keeps the alarm. */
  commit: (draft: Draft) => void;
  reach: (point: FaultPoint) => void;
}

/** What is asked for, and on behalf of which managed key; null: of the account alone. */
export interface Wish {
  least_usd: number;
  want_usd: number;
  key: string | null;
}

export type Asked =
  | Extract<Grant, { kind: "refused" }>
  | { kind: "leased" }
  /** The account could not be reached, or did not know what to make of the question. */
  | { kind: "unknown" };

/** So often the account is asked before the turn fails, */
const MAX_ASKED = 6;
/** with waits that double from here, in milliseconds. */
const FIRST_WAIT_MS = 500;

const UNKNOWN =
  "Whether the account's budget allows this call is not known: it could not be asked.";

export const UNREACHABLE = { code: "budget_unavailable", message: UNKNOWN };

/** The account did not answer: the turn waits and asks again, and fails in the end. */
export function unreachable({ turn, step }: OpenTurn, now: number, random: number): Fact {
  const failure = { turn, ...UNREACHABLE };
  if (step.attempt >= MAX_ASKED) {
    const body = { ...failure, message: `${UNKNOWN} Send the message again.` };
    return { type: "failure", body };
  }
  const wait = FIRST_WAIT_MS * 2 ** (step.attempt - 1) * (0.5 + random / 2);
  const retry = { attempt: step.attempt + 1, at: now + Math.round(wait) };
  return { type: "failure", body: { ...failure, retry } };
}

/** A kept lease that ends sooner is renewed while a call runs, in milliseconds. */
const RENEWED_MS = 60_000;

export class Leases {
  readonly #edges: LeaseEdges;

  constructor(edges: LeaseEdges) {
    this.#edges = edges;
  }

  async ask(asked: Wish): Promise<Asked> {
    const first = await this.#ask(asked);
    if (first.kind !== "leased") return first;
    const { lease } = this.#edges.store.state.money;
    // It was promised to another key, and the session had not heard of it.
    return lease && lease.key !== asked.key ? this.#ask(asked) : first;
  }

  async #ask({ key, ...amounts }: Wish): Promise<Asked> {
    const { account, session, store, reach } = this.#edges;
    this.#giveBackOf(key);
    let grant: Grant;
    try {
      reach("lease");
      const report = summaryOf(session, store);
      const asked = { ...amounts, ...(key === null ? {} : { key }) };
      const audit = owedAudit(store, session);
      const day = dayAt(store, audit.seq);
      grant = await account().lease(report, owedEntries(store).entries, asked, audit.entries);
      reach("leased");
      if (grant.kind !== "stale") store.acknowledge(audit.seq, day);
    } catch {
      return { kind: "unknown" };
    }
    if (grant.kind === "refused") return grant;
    // An answer that comes too late is none: the account takes it for lost.
    if (grant.kind === "stale" || grant.expires_at <= clock.now()) return { kind: "unknown" };
    return this.#take(grant) ? { kind: "leased" } : { kind: "unknown" };
  }

  /** Gives back what is held on behalf of another than `key`, so that the session never has two. */
  #giveBackOf(key: string | null): void {
    const { store, commit } = this.#edges;
    const { money, deleted } = store.state;
    if (deleted || !money.lease || money.lease.key === key) return;
    const draft = store.draft();
    addReturn(draft);
    commit(draft);
  }

  #take({ n, ceiling_usd, expires_at, keep, key }: Extract<Grant, { kind: "granted" }>): boolean {
    const { store, commit } = this.#edges;
    const draft = store.draft();
    const { deleted, money } = draft.state;
    if (deleted || n <= money.leases) return false;
    const of = key === undefined ? {} : { key };
    draft.add({ type: "lease", body: { n, ceiling_usd, expires_at, keep, ...of } });
    // Its turn was stopped meanwhile, and nothing else would give it back before it ends.
    const { do: does } = next(draft.state, draft.now);
    const used = does === "call" || does === "compact" || does === "listen";
    if (!used && !keep) addReturn(draft);
    commit(draft);
    return true;
  }

  /** Renews a lease that ends while a call runs, and gives back one that has ended. */
  async tend(): Promise<void> {
    const { store, commit } = this.#edges;
    const { money, call, deleted } = store.state;
    const { lease } = money;
    if (!lease || deleted) return;
    const now = clock.now();
    if (call && lease.expires_at - now < RENEWED_MS) {
      const left = Math.max(0, lease.ceiling_usd - money.spent_usd);
      await this.#ask({ least_usd: 0, want_usd: left, key: lease.key });
      return;
    }
    if (call || lease.expires_at > now) return;
    const draft = store.draft();
    addReturn(draft);
    commit(draft);
  }
}
