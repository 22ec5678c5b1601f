/** The audit: who did what in an account, and to whom it was refused. Never what was said. */

export const AUDIT_ACTIONS = [
  "session.create",
  "session.update",
  "session.delete",
  "session.compact",
  "turn.create",
  "turn.results",
  "turn.confirm",
  "turn.interrupt",
  "queue.cancel",
  "webhook.redeliver",
  "file.upload",
  "file.unzip",
  "file.move",
  "file.mkdir",
  "file.clone",
  "file.delete",
  "key.create",
  "key.update",
  "key.revoke",
  "anthropic_key.set",
  "anthropic_key.remove",
  "template.put",
  "template.remove",
  "template.import",
  "access.refused",
] as const;

export type AuditAction = (typeof AUDIT_ACTIONS)[number];

/** What names an entry: told again, it is the same one. */
export interface AuditPlace {
  /** Milliseconds since the epoch. */
  at: number;
  /** ULID of the session whose log says it, or of the entry itself. */
  source: string;
  /** The row of that log; 0 where no row says it. */
  n: number;
}

export interface AuditEntry extends AuditPlace {
  action: AuditAction;
  /** The session's ULID. */
  session: string | null;
  /** Public id of what it was done to, besides the session: a turn, an input, a key or a template. */
  target: string | null;
  /** As `callerName` has it; null when nobody asked for it. */
  key: string | null;
  /** `ok`, or the code of the refusal. */
  outcome: string;
  /** Names of fields, a word of the API or a route; nothing that a user wrote. */
  detail: string | null;
  request_id: string | null;
}

export interface AuditFilter {
  action?: AuditAction | undefined;
  /** The session's ULID. */
  session?: string | undefined;
  key?: string | undefined;
  /** Milliseconds since the epoch; neither is part of what is found. */
  after?: number | undefined;
  before?: number | undefined;
}

export interface AuditAsked extends AuditFilter {
  order: "newest" | "oldest";
  limit: number;
  /** The `next` of the page before; null for the first. */
  cursor: AuditPlace | null;
}

export interface AuditPage {
  entries: AuditEntry[];
  /** Where the next page begins; null on the last. */
  next: AuditPlace | null;
}
