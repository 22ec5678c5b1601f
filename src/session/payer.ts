/**
 * Whose money a model call is: that of the managed key whose message began the turn, whoever answers
 * its tool calls later. A compaction that a client asks for is paid by that client's key, and one that
 * a turn needs by the turn's.
 */
import { keyUlid } from "../shared/keys.ts";
import type { Submitted } from "../shared/rows.ts";

export interface Payer {
  /** `key_<ulid>` */
  key: string;
  /** The key had a budget when this was sent, so the account is asked before anything is spent. */
  budgeted: boolean;
}

/** The managed key behind a submission; null where it was another one. */
export function payerOf({ caller, key_budget }: Partial<Submitted>): Payer | null {
  // Names of other keys than managed ones do not have the form of an id.
  if (caller === undefined || keyUlid(caller) === null) return null;
  return { key: caller, budgeted: key_budget === true };
}

/** A turn waited while its key got a budget: the key's own next answer says so. */
export function withBudget(payer: Payer | null, submitted: Partial<Submitted>): Payer | null {
  const sender = payerOf(submitted);
  const same = payer !== null && sender?.key === payer.key;
  return same && sender.budgeted ? sender : payer;
}

/** On behalf of which key a lease is needed; null: of the account alone. */
export const leaseKeyOf = (payer: Payer | null): string | null =>
  payer?.budgeted ? payer.key : null;
