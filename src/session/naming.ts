/** What the account decides of a session: whether a new one may be there, and whose a name is. */
import type { AccountClient } from "../account/client.ts";
import type { CreateAnswer } from "./calls.ts";
import type { Refusal, Submission } from "./commands.ts";
import type { Outbox } from "./outbox.ts";
import { knownRow } from "./replay.ts";
import type { Store } from "./store.ts";

/**
 * Tells the account of a session that is being created. Null when the session is there; else what
 * the creation is answered, and unless that is undecided, nothing of it may be left.
 *
 * @param limited the account has a limit on its sessions
 */
export async function enter(
  { store, outbox }: { store: Store; outbox: Outbox },
  limited: boolean,
): Promise<Extract<CreateAnswer, { ok: false }> | null> {
  const { state } = store;
  // With more rows it was let in before, also if the account has never said so.
  const decided = state.seq > 1 || (state.config.name === null && !limited);
  if (decided) {
    await outbox.catchUp();
    // A late repetition: the session that it made was deleted.
    return outbox.deleted ? { ok: false } : null;
  }
  const admission = await outbox.admit();
  switch (admission?.kind) {
    case undefined:
      return { ok: false, undecided: true };
    case "admitted":
      return null;
    case "deleted":
      return { ok: false };
    case "refused":
      return { ok: false, refused: admission.code };
  }
}

/** The name that a submission gives the session, if that is news and not to be answered again. */
export function newName(store: Store, submission: Submission): string | null {
  const { command } = submission;
  const name = command.kind === "update" ? (command.config.name ?? null) : null;
  if (name === null || name === store.state.config.name) return null;
  return knownRow(store, submission) === null ? name : null;
}

/**
 * Claims a name, which the next report makes good.
 *
 * @throws Error when the account cannot be asked
 */
export async function claimName(
  { account, outbox, session }: { account: () => AccountClient; outbox: Outbox; session: string },
  name: string,
): Promise<Refusal | null> {
  let { kind } = await account().claimName(session, name);
  if (kind === "unknown") {
    await outbox.catchUp();
    kind = (await account().claimName(session, name)).kind;
  }
  if (kind === "unknown") throw new Error("the account does not know the session");
  return kind === "taken" ? { code: "name_taken", message: NAME_TAKEN } : null;
}

export const NAME_TAKEN =
  "Another session has this name. Choose another one, or take it away there.";
