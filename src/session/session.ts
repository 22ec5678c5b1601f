/**
 * The session object. It only wires: commands go through `admit` into the log, the loop does what
 * `next` says, followers see each row. Everything that can be called from outside is here, and
 * answers with plain data.
 */
import { DurableObject } from "cloudflare:workers";
import { accountOf } from "../account/client.ts";
import type { Env } from "../env.ts";
import { clock } from "../shared/clock.ts";
import { parseCursor } from "../shared/cursor.ts";
import type { Row, SessionConfig } from "../shared/rows.ts";
import { admit, admitDeletion, type Surroundings } from "./admit.ts";
import { lostFact } from "./answer.ts";
import type { CreateAnswer, SessionCalls, SessionDescription } from "./calls.ts";
import type { Accepted, Refusal, Submission, SubmitAnswer } from "./commands.ts";
import { type PendingInput, pendingCalls, queuedInputs, sessionInfo } from "./describe.ts";
import type { Draft } from "./draft.ts";
import { CLOSE_DELETED, Followers } from "./followers.ts";
import { Loop } from "./loop.ts";
import { MediaStore } from "./media.ts";
import { nextWake } from "./next.ts";
import { Outbox, summaryOf } from "./outbox.ts";
import { settledCall } from "./settled.ts";
import { Staging } from "./staging.ts";
import { Store } from "./store.ts";
import { type TurnInfo, type TurnSummary, turnInfo, turnList } from "./turns.ts";
import { upstreamOf } from "./upstream.ts";
import { viewAt } from "./view-at.ts";
import { PAGE_BYTES, type RowPage } from "./wire.ts";

/** All that belongs to an existing session. */
interface Parts {
  store: Store;
  loop: Loop;
  outbox: Outbox;
}

export class Session extends DurableObject<Env> implements SessionCalls {
  readonly #followers: Followers;
  readonly #media: MediaStore;
  readonly #staging = new Staging();
  #parts: Parts | null;
  /** When the alarm is set to fire, as far as this instance knows. */
  #alarmAt: number | null = null;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#followers = new Followers(ctx);
    this.#media = new MediaStore(ctx.storage.sql);
    const store = Store.open(ctx.storage.sql);
    this.#parts = store && this.#assemble(store);
    // Before anyone is answered: a call without an end is lost, and followers must not join its
    // text to the next attempt's.
    if (store?.state.call) {
      const draft = store.draft();
      draft.add(lostFact(draft));
      this.#commit(draft);
    }
    this.#wake();
  }

  /** Creates the session; a second call with the same submission answers the same. */
  async create(submission: string, config: SessionConfig): Promise<CreateAnswer> {
    if (!this.#parts) {
      const body = { v: 1 as const, surface: "cc" as const, submission, config };
      const fact = { type: "session.created" as const, body };
      this.#parts = this.#assemble(Store.create(this.ctx.storage.sql, fact));
    }
    const { store, outbox } = this.#parts;
    const created = store.log.rowOf("session.created", 1);
    if (!created || store.state.deleted || created.body.submission !== submission) {
      return { ok: false };
    }
    // Also when the call is repeated: the object may have died before the account heard of it.
    if (store.reported < created.seq) {
      outbox.note([created]);
      await outbox.send();
      this.#keepAlarm();
    }
    return { ok: true, session: sessionInfo(store.state) };
  }

  /** Takes one part of a submission that is too long for one call. */
  async stage(submission: string, n: number, text: string): Promise<void> {
    if (this.#live) this.#staging.put(submission, n, text);
  }

  /** Admits a submission whose `parts` were staged as JSON text. */
  async submitStaged(submission: string, parts: number): Promise<SubmitAnswer> {
    if (!this.#live) return refusal(NOT_FOUND);
    const text = this.#staging.take(submission, parts);
    if (text === null) return refusal({ code: "parts_missing", message: "Send the parts again." });
    // The Worker staged the JSON text of a `Submission`.
    return this.submit(JSON.parse(text) as Submission);
  }

  /** Admits a submission: its rows are on disk when this answers, and the loop goes on with it. */
  async submit(submission: Submission): Promise<SubmitAnswer> {
    const parts = this.#live;
    if (!parts) return refusal(NOT_FOUND);
    const known = this.#known(parts.store, submission);
    if (known === "conflict") {
      return refusal({
        code: "key_conflict",
        message: "This Idempotency-Key was used with another body.",
      });
    }
    if (known !== null) return this.#answer(parts.store, this.#replay(parts.store, known), []);

    const draft = parts.store.draft();
    const first = draft.next;
    const admission = admit(draft, submission, this.#surroundings(parts));
    if (admission.kind === "refused") return refusal(admission.refusal);
    if (admission.kind === "same") {
      if (submission.key) {
        parts.store.keepKey(submission.key.id, submission.key.hash, admission.input);
      }
      return this.#answer(parts.store, this.#replay(parts.store, admission.input), []);
    }
    // Asked for only now, so that a refused submission stores no bytes.
    const missing = this.#media.missing(draft.rows);
    if (missing.length > 0) return refusal({ ...MEDIA_MISSING, missing });
    const wrote = draft.rows.length > 0;
    const place = admission.input ?? (wrote ? first : parts.store.state.seq);
    if (submission.key) parts.store.keepKey(submission.key.id, submission.key.hash, place);
    this.#commit(draft);
    if (admission.stops) parts.loop.abort();
    this.#wake();
    const { input, turn } = admission;
    const cancelled = draft.rows.flatMap((row) =>
      row.type === "input.cancelled" ? [row.body.input] : [],
    );
    const accepted = { s: first, input, turn, result: resultOf(draft.rows, turn), replayed: false };
    return this.#answer(parts.store, accepted, cancelled);
  }

  /** Rows behind `after` with the view before them; null when there is no session. */
  async page(
    after: number,
    limit: number,
    types: string[] | null = null,
    to = Number.MAX_SAFE_INTEGER,
  ): Promise<RowPage | null> {
    const store = this.#live?.store;
    if (!store) return null;
    const { rows, more } = store.log.page(after, to, PAGE_BYTES, limit, types);
    const head = store.state.seq;
    return { head, view: viewAt(store.log, Math.min(after, head)), rows, more };
  }

  async describe(): Promise<SessionDescription | null> {
    const store = this.#live?.store;
    if (!store) return null;
    const created = store.log.rowOf("session.created", 1);
    return {
      session: sessionInfo(store.state),
      system_prompt: created?.body.config.system_prompt ?? null,
      pending: pendingCalls(store),
    };
  }

  async turn(turn: number): Promise<TurnInfo | null> {
    const store = this.#live?.store;
    return store ? turnInfo(store, turn) : null;
  }

  /** Turns before `before`, newest first; null when there is no session. */
  async turns(before: number, limit: number): Promise<TurnSummary[] | null> {
    const store = this.#live?.store;
    return store ? turnList(store, before, limit) : null;
  }

  async waiting(): Promise<PendingInput[] | null> {
    const store = this.#live?.store;
    return store ? queuedInputs(store) : null;
  }

  /** The secret under which this session's stream tickets are made. */
  async secret(): Promise<string | null> {
    return this.#live?.store.secret ?? null;
  }

  async putMedia(sha: string, n: number, data: ArrayBuffer): Promise<void> {
    if (this.#live) this.#media.put(sha, n, data);
  }

  /**
   * Deletes the session. When this answers, everything open is settled, followers are told and the
   * account has the last figures; the alarm then removes the data.
   */
  async remove(submission: string): Promise<boolean> {
    const parts = this.#live;
    if (!parts) return this.#removedBy(submission);
    const draft = parts.store.draft();
    admitDeletion(draft, submission, this.#surroundings(parts));
    this.#commit(draft);
    parts.loop.abort();
    this.#followers.closeAll(CLOSE_DELETED, "deleted");
    if (await this.#settleAccount(parts.store)) await this.ctx.storage.setAlarm(clock.now());
    return true;
  }

  /** `/follow` attaches a follower's WebSocket; `/media/<sha256>` gives the bytes. */
  override async fetch(request: Request): Promise<Response> {
    const url = new URL(request.url);
    const store = this.#live?.store;
    if (!store) return new Response(null, { status: 404 });
    if (url.pathname === "/follow") return this.#follow(url, store);
    return this.#mediaResponse(url.pathname.replace("/media/", ""));
  }

  override async webSocketClose(socket: WebSocket, code: number): Promise<void> {
    // 1005 and 1006 may be received but not sent (RFC 6455, section 7.4.1).
    socket.close(code === 1005 || code === 1006 ? 1000 : code, "closed");
  }

  /** Sets the next alarm before anything else, so that no failure can end the chain. */
  override async alarm(): Promise<void> {
    this.#alarmAt = null;
    const parts = this.#parts;
    if (!parts) return;
    if (parts.store.state.deleted) return this.#erase(parts.store);
    this.#keepAlarm();
    this.#wake();
    // Waited for, so that the platform repeats the alarm if the object dies over it. Another alarm
    // is set only for a report that failed, or an idle session would be woken for ever.
    await parts.outbox.catchUp();
    this.#keepAlarm();
  }

  /** The session's parts unless there is none, or it is being deleted. */
  get #live(): Parts | null {
    return this.#parts && !this.#parts.store.state.deleted ? this.#parts : null;
  }

  #assemble(store: Store): Parts {
    const { account, session } = this.#names();
    const outbox = new Outbox(() => accountOf(this.env, account), session, store);
    const loop = new Loop({
      store,
      media: this.#media,
      followers: this.#followers,
      commit: (draft) => this.#commit(draft),
      upstream: () => upstreamOf(this.env),
      hold: (step) => this.ctx.waitUntil(step),
    });
    return { store, loop, outbox };
  }

  /** The object's name is `<account>/<ulid>`. */
  #names(): { account: string; session: string } {
    const [account = "", session = ""] = (this.ctx.id.name ?? "").split("/");
    return { account, session };
  }

  #surroundings({ store, loop }: Parts): Surroundings {
    return {
      cut: (draft) => loop.cut(draft),
      settled: (tool) => settledCall(store.log, tool),
      read: (input) => {
        const submission = store.state.submissions.find(([, seq]) => seq === input)?.[0];
        return submission !== undefined && this.#followers.reads(submission);
      },
      isInput: (seq) => store.log.rowOf("input", seq) !== null,
    };
  }

  #commit(draft: Draft): void {
    const parts = this.#parts;
    if (!parts) return;
    const rows = parts.store.commit(draft);
    this.#followers.rows(rows);
    parts.outbox.note(rows);
    this.#keepAlarm();
  }

  #wake(): void {
    const parts = this.#live;
    if (parts) this.ctx.waitUntil(parts.loop.wake());
  }

  /** Each `setAlarm` is a billed row, so an alarm that is early enough stays. */
  #keepAlarm(): void {
    const parts = this.#parts;
    if (!parts) return;
    const now = clock.now();
    const { store, outbox } = parts;
    const at = nextWake(store.state, now, outbox.owes || store.state.deleted);
    if (at === null) return;
    if (this.#alarmAt !== null && this.#alarmAt > now && this.#alarmAt <= at) return;
    this.#alarmAt = at;
    void this.ctx.storage.setAlarm(at);
  }

  /** The row of a submission that came before: by its id, or by its idempotency key. */
  #known(store: Store, submission: Submission): number | "conflict" | null {
    const seen = store.state.submissions.find(([id]) => id === submission.submission);
    if (seen) return seen[1];
    const key = submission.key && store.key(submission.key.id);
    if (!key) return null;
    return key.hash === submission.key?.hash ? key.seq : "conflict";
  }

  /** The session was deleted by this very submission, whose answer was lost. */
  #removedBy(submission: string): boolean {
    const store = this.#parts?.store;
    const last = store?.log.row(store.state.seq);
    return last?.type === "session.deleted" && last.body.submission === submission;
  }

  /** What a submission was answered, from the row by which it is known. */
  #replay(store: Store, seq: number): Accepted {
    const row = store.log.row(seq);
    if (row?.type === "input" || row?.type === "tool.ended") {
      const { turn } = row.body;
      return { s: seq, input: seq, turn, result: resultOf([row], turn), replayed: true };
    }
    const turn = row?.type === "interrupt" ? row.body.turn : null;
    return { s: seq, input: null, turn, result: turn, replayed: true };
  }

  #answer(store: Store, accepted: Accepted, cancelled: number[]): SubmitAnswer {
    const queued = store.state.queue.map(({ seq }) => seq);
    return { ok: true, accepted, session: sessionInfo(store.state), queued, cancelled };
  }

  #follow(url: URL, store: Store): Response {
    const after = url.searchParams.get("after");
    const cursor = after === null ? "head" : parseCursor(after);
    if (cursor === null) return new Response("not a cursor", { status: 400 });
    if (cursor !== "head" && cursor.seq > store.state.seq) {
      return Response.json({ head: store.state.seq }, { status: 409 });
    }
    const { 0: client, 1: server } = new WebSocketPair();
    const preview = this.#parts?.loop.preview ?? null;
    this.#followers.attach(server, store, cursor, url.searchParams.get("reads"), preview);
    return new Response(null, { status: 101, webSocket: client });
  }

  #mediaResponse(sha: string): Response {
    const pieces = this.#media.pieces(sha);
    const first = pieces.next();
    if (first.done) return new Response(null, { status: 404 });
    let next: IteratorResult<Uint8Array<ArrayBuffer>> = first;
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (next.done) return controller.close();
        controller.enqueue(next.value);
        next = pieces.next();
      },
    });
    return new Response(body);
  }

  /** Gives the account the last figures; false when it could not be reached. */
  async #settleAccount(store: Store): Promise<boolean> {
    const { account, session } = this.#names();
    try {
      await accountOf(this.env, account).remove(session, summaryOf(session, store));
      return true;
    } catch {
      return false;
    }
  }

  async #erase(store: Store): Promise<void> {
    await this.ctx.storage.setAlarm(clock.now() + 15_000);
    if (!(await this.#settleAccount(store))) return;
    await this.ctx.storage.deleteAll();
    // Nothing of the session may outlive its data in this object's memory.
    this.ctx.abort("deleted", { retryAlarm: false });
  }
}

/** Where a submission's result will be: an input's under its own id, all else under its turn's. */
function resultOf(rows: readonly Row[], turn: number | null): number | null {
  return rows.find((row) => row.type === "input")?.seq ?? turn;
}

const MEDIA_MISSING: Refusal = {
  code: "media_missing",
  message: "Store the media first, then submit again.",
};

const NOT_FOUND: Refusal = { code: "not_found", message: "There is no such session." };

const refusal = (refused: Refusal): SubmitAnswer => ({ ok: false, refusal: refused });
