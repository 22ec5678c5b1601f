/**
 * The session object. It only wires: commands go through `admit` into the log, the loop does what
 * `next` says, followers see each row. Everything that can be called from outside is here, and
 * answers with plain data.
 */
import type { Env } from "../env.ts";
import { clock } from "../shared/clock.ts";
import { readConfig } from "../shared/config.ts";
import { isAhead, parseCursor } from "../shared/cursor.ts";
import { sessionId } from "../shared/ids.ts";
import { type LoggedPlace, writeLine } from "../shared/log-line.ts";
import type { SessionConfig } from "../shared/rows.ts";
import { admit, admitDeletion, type Deletion } from "./admit.ts";
import { Alarm } from "./alarm.ts";
import { lostFact } from "./answer.ts";
import { assemble, namesOf, type Parts, surroundingsOf, wakeTime } from "./assemble.ts";
import type { CreateAnswer, Creation, SessionCalls } from "./calls.ts";
import type { Refusal, Submission, SubmitAnswer } from "./commands.ts";
import { isScheduled } from "./compact.ts";
import type { ContextSize } from "./context-size.ts";
import { askContextSize } from "./context-size-ask.ts";
import { sessionInfo } from "./describe.ts";
import type { Draft } from "./draft.ts";
import { faultPoint, faultPointsOfCommit } from "./fault-points.ts";
import type { Asked, FileAnswer, FileCalls } from "./file-calls.ts";
import { CLOSE_DELETED, Followers } from "./followers.ts";
import { logLines } from "./log-lines.ts";
import { MEDIA_MISSING, MediaStore } from "./media.ts";
import { enter, newName } from "./naming.ts";
import { deletionOf } from "./removal.ts";
import {
  attachedKey,
  knownRow,
  type Replayed,
  replayed,
  resultOf,
  submissionAt,
} from "./replay.ts";
import { addLostTools } from "./run-tools.ts";
import { SessionReads } from "./session-reads.ts";
import { Staging } from "./staging.ts";
import { Store } from "./store.ts";

export class Session extends SessionReads implements SessionCalls {
  readonly #followers: Followers;
  readonly #media: MediaStore;
  readonly #staging = new Staging();
  readonly #alarm: Alarm;
  #parts: Parts | null;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env, namesOf(ctx).session, () => this.#live?.store ?? null);
    this.#followers = new Followers(ctx);
    this.#media = new MediaStore(ctx.storage.sql);
    this.#alarm = new Alarm(ctx.storage);
    const store = Store.open(ctx.storage.sql);
    this.#parts = store && this.#assemble(store);
    if (store) faultPoint(ctx, "wake");
    if (this.#parts && wakeTime(this.#parts, false) !== null) {
      this.#alarm.expect(() => this.#keepAlarm());
    }
    // Before anyone is answered: a call without an end is lost, and followers must not join its
    // text to the next attempt's.
    if (store) {
      const draft = store.draft();
      if (draft.state.call) draft.add(lostFact(draft));
      addLostTools(draft);
      this.#commit(draft);
    }
    this.#wake();
  }

  /** Creates the session; a second call with the same submission answers the same. */
  async create(
    submission: string,
    asked: SessionConfig,
    { own_key, caller, surface = "cc" }: Creation = {},
  ): Promise<CreateAnswer> {
    if (!this.#parts) {
      const config = own_key === undefined ? asked : { ...asked, own_anthropic_key: true };
      const by = caller === undefined ? {} : { caller };
      const body = { v: 1 as const, surface, submission, ...by, config };
      const fact = { type: "session.created" as const, body };
      this.#parts = this.#assemble(Store.create(this.ctx.storage.sql, fact, own_key ?? null));
      faultPointsOfCommit(this.ctx);
      // The account may hear of it, and the object die before anybody is answered.
      this.#keepAlarm();
    }
    const parts = this.#parts;
    const { store } = parts;
    const [created] = store.log.contents(1, 1);
    const known = created?.type === "session.created" ? created.body.submission : null;
    if (!created || store.state.deleted || known !== submission) {
      return { ok: false };
    }
    // Also when the call is repeated: the object may have died before the account heard of it.
    if (store.reported < created.seq) {
      const config = readConfig(this.env);
      const answer = await enter(parts, config.ok && config.config.maxSessions !== null);
      if (answer && !answer.undecided && this.#parts === parts) {
        this.#parts = null;
        await this.ctx.storage.deleteAll();
      }
      if (answer) return answer;
      this.#keepAlarm();
    }
    faultPoint(this.ctx, "answer");
    return { ok: true, session: sessionInfo(store.state) };
  }

  /** Takes one part of a submission, or of a configuration, that is too long for one call. */
  async stage(submission: string, n: number, text: string): Promise<void> {
    this.#staging.put(submission, n, text);
  }

  /** Creates the session from a configuration whose `parts` were staged as JSON text. */
  async createStaged(submission: string, parts: number, more?: Creation): Promise<CreateAnswer> {
    const config = this.#staging.takeConfig(submission, parts);
    return config ? this.create(submission, config, more) : { ok: false, missing: true };
  }

  /** Admits a submission whose `parts` were staged as JSON text. */
  async submitStaged(submission: string, parts: number): Promise<SubmitAnswer> {
    const staged = this.#staging.takeSubmission(submission, parts);
    if (!this.#live) return refusal(NOT_FOUND);
    if (!staged) return refusal({ code: "parts_missing", message: "Send the parts again." });
    return this.submit(staged);
  }

  /** Admits a submission: its rows are on disk when this answers, and the loop goes on with it. */
  async submit(submission: Submission): Promise<SubmitAnswer> {
    const parts = this.#live;
    const name = parts && newName(parts.store, submission);
    const refused = parts && name ? await parts.claimName(name) : null;
    if (refused) return refusal(refused);
    const before = parts?.store.state.config.name;
    const answer = this.#take(submission);
    // Whoever was told of a new name finds the session by it, and the old one is free.
    if (parts?.store.state.config.name !== before) await parts?.outbox.send();
    return answer;
  }

  /** In one step: others may have come while the account was asked. */
  #take(submission: Submission): SubmitAnswer {
    const parts = this.#live;
    if (!parts) return refusal(NOT_FOUND);
    const known = knownRow(parts.store, submission);
    if (known === "conflict") {
      return refusal({
        code: "key_conflict",
        message: "This Idempotency-Key was used with another body.",
      });
    }
    if (known !== null) return this.#answer(parts.store, replayed(parts.store, known));

    const draft = parts.store.draft();
    const first = draft.next;
    const admission = admit(
      draft,
      submission,
      surroundingsOf(parts, this.#followers, this.ctx.storage.sql),
    );
    if (admission.kind === "refused") return refusal(admission.refusal);
    if (admission.kind === "same") {
      // It writes no row that could carry its id.
      const { id, hash } = submission.key ?? attachedKey(submission);
      parts.store.keepKey(id, hash, admission.input);
      return this.#answer(parts.store, replayed(parts.store, admission.input));
    }
    // Asked for only now, so that a refused submission stores no bytes.
    const missing = this.#media.missing(draft.rows);
    if (missing.length > 0) return refusal({ ...MEDIA_MISSING, missing });
    const own = draft.rows.find(({ body }) => "submission" in body)?.seq;
    const place = admission.input ?? own ?? parts.store.state.seq;
    if (submission.key) parts.store.keepKey(submission.key.id, submission.key.hash, place);
    this.#commit(draft);
    if (admission.stops) parts.loop.abort();
    this.#wake();
    const { input, turn, stopped } = admission;
    const cancelled = draft.rows.flatMap((row) =>
      row.type === "input.cancelled" ? [row.body.input] : [],
    );
    const result = resultOf(draft.rows, turn);
    const told = {
      s: first,
      input,
      turn,
      result,
      replayed: false,
      ...(stopped ? { stopped } : {}),
    };
    return this.#answer(parts.store, { accepted: told, cancelled });
  }

  /** The submission to whose turn the row `seq` belongs, as if it had been sent again. */
  async attach(seq: number, inMessage?: boolean): Promise<SubmitAnswer> {
    const parts = this.#live;
    if (!parts) return refusal(NOT_FOUND);
    const known = submissionAt(parts.store, seq, inMessage);
    if (known === null) {
      return refusal({ code: "unknown_turn", message: "This event belongs to no turn." });
    }
    return this.#answer(parts.store, replayed(parts.store, known));
  }

  async context(exact: boolean): Promise<ContextSize | null> {
    faultPoint(this.ctx, "answer");
    const parts = this.#live;
    if (!parts) return null;
    const { upstream } = parts.ownKeys;
    return askContextSize(parts.store, this.#media, { exact, env: this.env, upstream });
  }

  async putMedia(sha: string, n: number, data: ArrayBuffer): Promise<void> {
    if (!this.#live) return;
    this.#media.put(sha, n, data);
    faultPointsOfCommit(this.ctx);
  }

  /** Reads or changes the session's files. */
  async files<K extends keyof FileCalls>(call: K, asked: Asked<K>): Promise<FileAnswer<K> | null> {
    return (await this.#live?.files.answer(call, asked)) ?? null;
  }

  /**
   * Deletes the session. When this answers, everything open is settled, followers are told and the
   * account has the last figures; the alarm then removes the data.
   */
  async remove(submission: string, caller?: string): Promise<boolean> {
    const parts = this.#live;
    // Of a deletion by this very submission, the answer was lost.
    if (!parts) return this.#parts !== null && deletionOf(this.#parts.store) === submission;
    await this.#end(parts, { submission, ...(caller === undefined ? {} : { caller }) });
    faultPoint(this.ctx, "answer");
    return true;
  }

  /** `/follow` attaches a WebSocket; `/files` takes an upload; `/media/<sha256>` gives the bytes. */
  override async fetch(request: Request): Promise<Response> {
    const url = new URL(request.url);
    const parts = this.#live;
    if (!parts) return new Response(null, { status: 404 });
    if (url.pathname === "/follow") return this.#follow(url, parts.store);
    if (url.pathname === "/files") return parts.files.upload(request);
    return this.#media.response(url.pathname.replace("/media/", ""));
  }

  override async webSocketClose(socket: WebSocket, code: number): Promise<void> {
    // 1005 and 1006 may be received but not sent (RFC 6455, section 7.4.1).
    socket.close(code === 1005 || code === 1006 ? 1000 : code, "closed");
  }

  /**
   * Goes on with whatever there is to do. The alarm is held meanwhile: the platform repeats one whose
   * object died over it, and an idle session sets no other, or it would be woken for ever.
   */
  override async alarm(info?: AlarmInvocationInfo): Promise<void> {
    faultPoint(this.ctx, "alarm");
    this.#alarm.fired();
    const parts = this.#parts;
    if (!parts) return;
    if (parts.store.state.deleted) return parts.removal.erase();
    if (parts.expiry.due) return this.#end(parts, { submission: "expired", reason: "expired" });
    // One alarm is repeated a few times only, so the first repetition sets another.
    if (info?.isRetry) this.#keepAlarm();
    const told = parts.outbox.catchUp();
    const work = Promise.all([parts.loop.wake(), parts.webhooks.send()]);
    await this.#alarm.hold(work, parts.webhooks.next);
    this.ctx.waitUntil(parts.webhooks.send());
    await parts.leases.tend();
    await told;
    await parts.outbox.send();
    this.#keepAlarm();
  }

  /** A deletion but for its last step: the alarm erases the data, once everybody is told. */
  async #end(parts: Parts, deletion: Deletion): Promise<void> {
    const draft = parts.store.draft();
    admitDeletion(draft, deletion, surroundingsOf(parts, this.#followers, this.ctx.storage.sql));
    this.#commit(draft);
    parts.loop.abort();
    this.#followers.closeAll(CLOSE_DELETED, "deleted");
    if (await parts.removal.tell()) this.#alarm.keep(clock.now());
  }

  /** The session's parts unless there is none, or it is being deleted. */
  get #live(): Parts | null {
    return this.#parts && !this.#parts.store.state.deleted ? this.#parts : null;
  }

  #assemble(store: Store): Parts {
    return assemble(store, {
      ctx: this.ctx,
      env: () => this.env,
      media: this.#media,
      followers: this.#followers,
      commit: (draft) => this.#commit(draft),
    });
  }

  #place(): LoggedPlace {
    const { account, session } = namesOf(this.ctx);
    return { account, session: sessionId(session) };
  }

  #commit(draft: Draft): void {
    const parts = this.#parts;
    if (!parts || draft.rows.length === 0) return;
    const rows = this.ctx.storage.transactionSync(() => parts.store.commit(draft));
    faultPointsOfCommit(this.ctx);
    this.#followers.rows(rows);
    parts.outbox.note(rows);
    this.ctx.waitUntil(parts.webhooks.send());
    if (parts.webhooks.next !== null) this.#alarm.release(parts.webhooks.next);
    this.#keepAlarm();
    for (const line of logLines(rows, this.#place(), parts.loop.firstOutput)) writeLine(line);
  }

  #wake(): void {
    const parts = this.#live;
    if (!parts) return;
    this.ctx.waitUntil(parts.loop.wake());
    this.ctx.waitUntil(parts.webhooks.send());
  }

  #keepAlarm(): void {
    const parts = this.#parts;
    if (!parts) return;
    const { store, outbox } = parts;
    this.#alarm.keep(wakeTime(parts, outbox.owes || store.state.deleted));
  }

  #answer(store: Store, { accepted, cancelled }: Replayed): SubmitAnswer {
    const queued = store.state.queue.map(({ seq }) => seq);
    if (isScheduled(store.state, accepted.s)) accepted.scheduled = true;
    faultPoint(this.ctx, "answer");
    return { ok: true, accepted, session: sessionInfo(store.state), queued, cancelled };
  }

  #follow(url: URL, store: Store): Response {
    const after = url.searchParams.get("after");
    const cursor = after === null ? "head" : parseCursor(after);
    if (cursor === null) return new Response("not a cursor", { status: 400 });
    if (cursor !== "head" && isAhead(cursor, store.state.seq)) {
      return Response.json({ head: store.state.seq }, { status: 409 });
    }
    const { 0: client, 1: server } = new WebSocketPair();
    const preview = this.#parts?.loop.preview ?? null;
    this.#followers.attach(server, store, cursor, url.searchParams.get("reads"), preview);
    return new Response(null, { status: 101, webSocket: client });
  }
}

const NOT_FOUND: Refusal = { code: "not_found", message: "There is no such session." };

const refusal = (refused: Refusal): SubmitAnswer => ({ ok: false, refusal: refused });
