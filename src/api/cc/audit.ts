/** The account's audit: a page of it, or all of a period as JSON Lines. */
import * as v from "valibot";
import { accountOf } from "../../account/client.ts";
import type { Credential } from "../../http/caller.ts";
import type { HttpContext } from "../../http/context.ts";
import { repeatedly } from "../../http/submit.ts";
import { parse } from "../../http/validate.ts";
import {
  AUDIT_ACTIONS,
  type AuditEntry,
  type AuditFilter,
  type AuditPage,
  type AuditPlace,
} from "../../shared/audit.ts";
import { clock } from "../../shared/clock.ts";
import { sessionId, sessionUlid, ULID } from "../../shared/ids.ts";
import { type Cut, keyCut, line, linesOf, send } from "./json-lines.ts";
import { pageAsked } from "./page.ts";
import { TimeField } from "./session-list.ts";

const PAGE_ENTRIES = 1_000;

export const AuditQuery = v.object({
  action: v.optional(v.picklist(AUDIT_ACTIONS)),
  session: v.optional(
    v.pipe(
      v.string(),
      v.check((text) => sessionUlid(text) !== null, "The session must be an id such as sess_01…"),
      v.transform((text) => sessionUlid(text) ?? ""),
    ),
  ),
  key: v.optional(v.pipe(v.string(), v.minLength(1), v.maxLength(128))),
  after: v.optional(TimeField),
  before: v.optional(TimeField),
});

/** `GET /api/audit` */
export async function listAudit(c: HttpContext): Promise<Response> {
  const filter = parse(AuditQuery, c.req.query(), "query");
  const { limit, cursor } = pageAsked(c, placeIn);
  const account = accountOf(c.env, c.get("account"));
  const asked = { ...filter, order: "newest" as const, limit, cursor };
  const { entries, next } = await repeatedly(() => account.auditPage(asked));
  return c.json({
    data: entries.map(entryObject),
    has_more: next !== null,
    next_cursor: next && entryId(next),
  });
}

interface Export {
  /** The account's public id. */
  account: string;
  filter: AuditFilter;
  exported_at: number;
  first: AuditPage;
  page: (cursor: AuditPlace | null) => Promise<AuditPage>;
  /** Whether the key of whoever reads it has ended. */
  ended: Credential["ended"];
}

/** `GET /api/audit/export` */
export async function exportAudit(c: HttpContext): Promise<Response> {
  const asked = parse(AuditQuery, c.req.query(), "query");
  const exported_at = clock.now();
  // What happens while it is read is not part of it, or it might never end.
  const filter = { ...asked, before: Math.min(asked.before ?? exported_at + 1, exported_at + 1) };
  const account = accountOf(c.env, c.get("account"));
  const page = (cursor: AuditPlace | null) =>
    repeatedly(() =>
      account.auditPage({ ...filter, order: "oldest", limit: PAGE_ENTRIES, cursor }),
    );
  const first = await page(null);
  const headers = {
    "content-type": "application/jsonl; charset=utf-8",
    "content-disposition": 'attachment; filename="audit.jsonl"',
    "x-accel-buffering": "no",
  };
  if (c.req.method === "HEAD") return c.body(null, 200, headers);
  // Its writes wait for the client and reject when it leaves.
  const { readable, writable } = new IdentityTransformStream();
  const { ended } = c.get("credential");
  const what = { account: c.get("account"), filter: asked, exported_at, first, page, ended };
  const lines = linesOf("an export of the audit", {}, exported(what));
  c.executionCtx.waitUntil(send(lines, writable));
  return c.body(readable, 200, headers);
}

async function* exported(what: Export): AsyncGenerator<string, Cut | null> {
  const { account, filter, exported_at, first } = what;
  const { after, before } = filter;
  yield* line({
    type: "export",
    v: 1,
    account,
    after: after === undefined ? null : iso(after),
    before: before === undefined ? null : iso(before),
    exported_at: iso(exported_at),
  });
  let entries = 0;
  for (let page = first; ; ) {
    for (const entry of page.entries) yield* line(entryObject(entry));
    entries += page.entries.length;
    if (!page.next) break;
    const end = await what.ended?.();
    if (end) return keyCut(end);
    page = await what.page(page.next);
  }
  yield* line({ type: "end", entries });
  return null;
}

/** An entry as the wire shows it. */
const entryObject = (entry: AuditEntry) => ({
  id: entryId(entry),
  object: "audit_entry",
  at: iso(entry.at),
  action: entry.action,
  session_id: entry.session === null ? null : sessionId(entry.session),
  target: entry.target,
  key: entry.key,
  outcome: entry.outcome,
  detail: entry.detail,
  request_id: entry.request_id,
});

const iso = (at: number): string => new Date(at).toISOString();

const entryId = ({ at, source, n }: AuditPlace): string => `audit_${at}_${source}_${n}`;

const ENTRY_ID = new RegExp(`^audit_([0-9]{1,15})_(${ULID})_([0-9]{1,15})$`);

function placeIn(text: string): AuditPlace | null {
  const [, at, source, n] = ENTRY_ID.exec(text) ?? [];
  return source ? { at: Number(at), source, n: Number(n) } : null;
}
