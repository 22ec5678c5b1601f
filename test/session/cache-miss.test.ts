/** What the rows say of the cache, for what no client can bring about by itself. */
import { expect, test } from "vitest";
import { cacheMiss, foldCache, NO_CACHE } from "../../src/session/cache-miss.ts";
import { begin, fold } from "../../src/session/fold.ts";
import type { State } from "../../src/session/state.ts";
import type {
  CallEndedBody,
  CallStartedBody,
  CutReason,
  Fact,
  Row,
} from "../../src/shared/rows.ts";
import type { Usage } from "../../src/shared/usage.ts";

const MINUTE = 60_000;

const usage = (read: number, written: number, fresh = 0): Usage => ({
  input_tokens: fresh,
  output_tokens: 1,
  cache_creation_input_tokens: written,
  cache_read_input_tokens: read,
});

/** A log that grows, and the state after it. */
class Told {
  state: State;

  constructor() {
    const config = {
      model: "claude-opus-5-5",
      title: null,
      system_prompt: null,
      metadata: {},
      toolset: { tools: {} },
    };
    this.state = begin({
      seq: 1,
      at: 0,
      type: "session.created",
      body: { v: 1, surface: "cc", submission: "s", config },
    });
  }

  add(fact: Fact, at = this.state.at): void {
    // A fact and a place make a row.
    this.state = fold(this.state, { seq: this.state.seq + 1, at, ...fact } as Row);
  }

  start(at: number, more: Partial<CallStartedBody> = {}): void {
    const body: CallStartedBody = {
      turn: 2,
      n: 1,
      attempt: 1,
      purpose: "turn",
      model: "claude-opus-5-5",
      epoch: 2,
      max_tokens: 100,
      marks: [0],
      ttl: "5m",
      ...more,
    };
    this.add({ type: "call.started", body }, at);
  }

  end(used: Usage | null, more: Partial<CallEndedBody> = {}): void {
    const body: CallEndedBody = {
      call: this.state.call?.seq ?? 0,
      turn: 2,
      end: "ok",
      accepted: true,
      stop_reason: "end_turn",
      usage: used,
      estimated: false,
      cost_usd: 0,
      request_id: null,
      ms: 1,
      blocks: 1,
      ...more,
    };
    this.add({ type: "call.ended", body });
  }

  cut(reason: CutReason): void {
    const lists = { drop: [], drop_calls: [], replace: [] };
    const body = { turn: 2, reason, message: "", strip_thinking: true, ...lists };
    this.add({ type: "context.cut", body });
  }

  miss(used: Usage) {
    return cacheMiss(this.state, used);
  }
}

/** A session whose first call has left 1,000 tokens in the cache, and whose second one has begun. */
function second(between: (told: Told) => void = () => {}, at = MINUTE): Told {
  const told = new Told();
  told.start(0);
  // So that a refusal may be about it as well.
  told.end(usage(0, 1_000), { end: "interrupted" });
  between(told);
  told.start(at);
  return told;
}

test.each([
  ["system", "changed_system"],
  ["tools", "changed_tools"],
  ["server_tools", "changed_tools"],
  ["gone", "thinking_removed"],
  ["refusal", "left_out"],
  ["replay", "replayed"],
  ["model", "model_switched"],
] as const)("after a cut for %s it is %s", (cut, reason) => {
  const told = second((one) => one.cut(cut));
  expect(told.miss(usage(0, 1_200))).toEqual({ reason, tokens: 1_000 });
  // Of a shorter prompt no more could be read than it has.
  expect(told.miss(usage(100, 300))).toEqual({ reason, tokens: 300 });
  told.end(usage(0, 1_200));
  told.start(2 * MINUTE);
  expect(told.miss(usage(1_200, 10))).toBeNull();
  expect(told.miss(usage(1_100, 110))).toEqual({ reason: "unknown", tokens: 100 });
});

test("what was appended and rejected changes nothing of what is there", () => {
  const told = second((one) => one.cut("rejected"));
  expect(told.miss(usage(0, 1_200))).toEqual({ reason: "unknown", tokens: 1_000 });
});

test("a call that reads all, or finds more than is known of, has missed nothing", () => {
  expect(second().miss(usage(1_000, 200))).toBeNull();
  expect(second().miss(usage(1_100, 100))).toBeNull();
  const first = new Told();
  first.start(0);
  expect(first.miss(usage(0, 500))).toEqual({ reason: "first_call", tokens: 0 });
  expect(first.miss(usage(300, 200))).toBeNull();
});

test("a call that was not accepted, or made for a compaction, keeps what it read", () => {
  const uses = [{ accepted: false }, { accepted: true, compacts: true }];
  for (const { accepted, compacts } of uses) {
    const told = second((one) => {
      one.start(4 * MINUTE, compacts ? { purpose: "compact" } : {});
      one.end(usage(1_000, 500), { accepted });
    }, 8 * MINUTE);
    // Its own words are not expected: the next call does not begin with them.
    expect(told.miss(usage(1_000, 200))).toBeNull();
    expect(told.miss(usage(0, 1_200))).toEqual({ reason: "unknown", tokens: 1_000 });
  }
  const unread = second((one) => {
    one.start(4 * MINUTE);
    one.end(null, { end: "failed", accepted: false });
  }, 8 * MINUTE);
  expect(unread.miss(usage(0, 1_200))).toEqual({ reason: "expired", tokens: 1_000 });
});

test("an hour's cache is there for an hour", () => {
  const told = new Told();
  told.start(0, { ttl: "1h" });
  told.end(usage(0, 1_000));
  told.start(60 * MINUTE - 1, { ttl: "5m" });
  expect(told.miss(usage(0, 1_200))?.reason).toBe("unknown");
  told.end(usage(1_000, 10));
  told.start(66 * MINUTE);
  expect(told.miss(usage(0, 1_200))?.reason).toBe("expired");
});

test("nothing is known of a call that is not open", () => {
  expect(cacheMiss({ cache: NO_CACHE, epoch: null }, usage(0, 10))).toBeNull();
  const { state } = new Told();
  const notice = { type: "notice" as const, body: { turn: null, code: "x", message: "" } };
  expect(foldCache(state, { seq: 2, at: 0, ...notice })).toBe(state.cache);
});
