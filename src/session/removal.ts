/** The end of a session: the account takes the last figures, and then nothing of it is left. */
import type { AccountClient } from "../account/client.ts";
import { clock } from "../shared/clock.ts";
import { owedAudit } from "./audit.ts";
import type { FaultPoint } from "./fault-points.ts";
import { owedEntries, summaryOf } from "./outbox.ts";
import type { Store } from "./store.ts";

/** When the alarm tries again what could not be done, in milliseconds. */
const AGAIN_MS = 15_000;

export interface RemovalEdges {
  ctx: DurableObjectState;
  account: () => AccountClient;
  /** The session's ULID. */
  session: string;
  store: Store;
  reach: (point: FaultPoint) => void;
}

export class Removal {
  readonly #edges: RemovalEdges;
  #telling: Promise<boolean> | null = null;

  constructor(edges: RemovalEdges) {
    this.#edges = edges;
  }

  /** Tells the account, for whoever asked for the deletion; false when it could not be reached. */
  tell(): Promise<boolean> {
    this.#telling = this.#settle();
    return this.#telling;
  }

  /** What the alarm repeats until it is done. */
  async erase(): Promise<void> {
    const { ctx, reach } = this.#edges;
    await ctx.storage.setAlarm(clock.now() + AGAIN_MS);
    // Whoever asked for the deletion is answered before the object ends: the answer waits for what
    // was written before it.
    if (this.#telling) {
      await this.#telling;
      await ctx.storage.sync();
    }
    if (!(await this.#settle())) return;
    reach("erase");
    await ctx.storage.deleteAll();
    reach("erased");
    // Nothing of the session may outlive its data in this object's memory.
    ctx.abort("deleted", { retryAlarm: false });
  }

  async #settle(): Promise<boolean> {
    const { account, session, store, reach } = this.#edges;
    const submission = deletionOf(store);
    if (submission === null) return false;
    try {
      reach("report");
      const { entries } = owedEntries(store);
      let audit = owedAudit(store, session);
      while (audit.seq < store.state.seq) {
        await account().noteAudit(audit.entries);
        audit = owedAudit(store, session, audit.seq);
      }
      const final = summaryOf(session, store);
      await account().remove(session, submission, final, entries, audit.entries);
      reach("reported");
      return true;
    } catch {
      return false;
    }
  }
}

/** The submission that deleted the session; null when it was not. */
export function deletionOf({ log, state }: Store): string | null {
  const last = log.row(state.seq);
  return last?.type === "session.deleted" ? last.body.submission : null;
}
