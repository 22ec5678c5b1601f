import type { Clock } from "../shared/clock.ts";
import { clock as systemClock } from "../shared/clock.ts";
import { answer } from "./answer.ts";
import { Memory } from "./binding.ts";
import { layOut, PromptCache } from "./cache.ts";
import type { Piece } from "./delivery.ts";
import { beforeResponse, Connection, deliver } from "./delivery.ts";
import { planEvents } from "./events.ts";
import { friendlyReply } from "./friendly/friendly.ts";
import {
  checkKey,
  checkSize,
  errorResponse,
  jsonResponse,
  parseBody,
  readBetas,
  readVersion,
  recordHeaders,
} from "./http.ts";
import { randomId } from "./ids.ts";
import type { OpenRecord, Outcome, RecordedRequest } from "./journal.ts";
import { Journal } from "./journal.ts";
import { getModel, listModels } from "./model-endpoints.ts";
import { RateLimits } from "./rate-limit.ts";
import type { Act, RawReply, Reply, Scripted } from "./replies.ts";
import { frame, toReply } from "./replies.ts";
import type { Sending } from "./transport.ts";
import {
  abortError,
  actsByEvent,
  earlyActs,
  errorOf,
  NetworkError,
  outcomeOf,
  readDiagnostics,
  readRequest,
} from "./transport.ts";
import type { Accepted, Rules } from "./validate/request.ts";
import { accept } from "./validate/request.ts";
import type { MismatchBehavior } from "./validate/thinking.ts";
import type { Problem } from "./wire.ts";
import { invalid, isObject, stringAt } from "./wire.ts";

export interface StandinOptions {
  readonly clock?: Clock;
  /** Answer in plain words where nothing is scripted; otherwise such a request is a 500. */
  readonly friendly?: boolean;
  /** Milliseconds between the deltas of the friendly model. */
  readonly pace?: number;
  /** Refuse neighbouring messages of one role, which the API itself would merge; default true. */
  readonly requireAlternation?: boolean;
  /** What happens to thinking that is not where it was made; default `error`. */
  readonly bindingMismatch?: MismatchBehavior;
  /** How many of the latest requests are kept; default all of them. */
  readonly keepRequests?: number;
}

export interface Standin {
  /** Give it to `new Anthropic({ fetch })`. Runs in workerd and in Node. */
  fetch(this: void, input: RequestInfo | URL, init?: RequestInit): Promise<Response>;
  /** Queues replies, taken in order, one for each accepted POST /v1/messages. */
  script(...replies: Scripted[]): void;
  /** Asked first for each accepted request; undefined passes on to the script. */
  respond(handler: (request: RecordedRequest) => Scripted | undefined): void;
  /** Every request as received. */
  readonly requests: readonly RecordedRequest[];
  /** Scripted replies that no request has taken yet. */
  readonly unusedReplies: number;
  /** The next `count` refusals are wanted. */
  expectRefusal(count?: number): void;
  /** All other refusals, for an `afterEach`. */
  unexpectedRefusals(): RecordedRequest[];
  /** Resolves once so many requests have arrived since the start or the last `reset`. */
  arrived(count: number): Promise<void>;
  /** Resolves with the outcome of the request at `index` once it has one. */
  settled(index: number): Promise<Outcome>;
  /** Forgets everything: script, requests, cache. */
  reset(): void;
}

/** A strict Messages API without a network. */
export function createStandin(options: StandinOptions = {}): Standin {
  const clock = options.clock ?? systemClock;
  const rules: Rules = {
    requireAlternation: options.requireAlternation ?? true,
    bindingMismatch: options.bindingMismatch ?? "error",
  };
  const memory = new Memory();
  const cache = new PromptCache();
  const journal = new Journal(options.keepRequests ?? Number.POSITIVE_INFINITY);
  let limits = new RateLimits();
  let queue: Reply[] = [];
  let handler: ((request: RecordedRequest) => Scripted | undefined) | undefined;

  async function fetch(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
    const received = await readRequest(input, init);
    if (received.signal?.aborted) throw abortError();
    const { url, method, headers, text } = received;
    const parsed = text === "" ? undefined : parseBody(text);
    const record = journal.open({
      at: clock.now(),
      method,
      path: url.pathname,
      query: url.search,
      headers: recordHeaders(headers),
      body: parsed && "json" in parsed ? parsed.json : undefined,
      text,
    });
    const requestId = randomId("req_");
    const refuse = (problem: Problem) => {
      const { status, type, message } = problem;
      record.settle({ state: "refused", status, type, message });
      return errorResponse(problem, requestId, limits.headers(clock.now()));
    };
    const problem = checkKey(headers) ?? checkSize(text);
    if (problem) return refuse(problem);
    const version = readVersion(headers);
    if (typeof version !== "string") return refuse(version);
    const betas = readBetas(headers);
    if (!("has" in betas)) return refuse(betas);

    const route = `${method} ${url.pathname}`;
    if (route !== "POST /v1/messages" && route !== "POST /v1/messages/count_tokens") {
      return lookUp(method, url, record, requestId, refuse);
    }
    if (!parsed) return refuse(invalid("The request body is not valid JSON: empty body"));
    if (!("json" in parsed)) return refuse(parsed);
    const isCount = url.pathname.endsWith("count_tokens");
    const call = { version, betas, isCount, now: clock.now() };
    const accepted = accept(parsed.json, call, rules, memory);
    if ("status" in accepted) return refuse(accepted);
    if (isCount) {
      const counted = {
        input_tokens: accepted.inputTokens,
        ...(betas.size > 0 ? { context_management: null } : {}),
      };
      record.settle({ state: "answered", status: 200, message: counted, usage: null });
      return jsonResponse(counted, requestId);
    }
    const connection = new Connection();
    received.signal?.addEventListener("abort", () => connection.hangUp(), { once: true });
    try {
      return await respondTo(accepted, record, requestId, connection);
    } catch (error) {
      if (connection.isGone || error instanceof NetworkError) throw error;
      const message = error instanceof Error ? error.message : "unknown failure";
      return refuse({ status: 500, type: "api_error", message: `stand-in: ${message}` });
    }
  }

  function lookUp(
    method: string,
    url: URL,
    record: OpenRecord,
    requestId: string,
    refuse: (problem: Problem) => Response,
  ): Response {
    const [, id] = /^\/v1\/models\/([^/]+)$/.exec(url.pathname) ?? [];
    const found =
      method === "GET" && url.pathname === "/v1/models"
        ? listModels(url.searchParams, clock.now())
        : method === "GET" && id !== undefined
          ? getModel(decodeURIComponent(id), clock.now())
          : { status: 404, type: "not_found_error", message: "Not found" };
    if ("status" in found) return refuse(found);
    record.settle({ state: "answered", status: 200, message: null, usage: null });
    return jsonResponse(found, requestId);
  }

  async function respondTo(
    accepted: Accepted,
    record: OpenRecord,
    requestId: string,
    connection: Connection,
  ): Promise<Response> {
    const { request } = accepted;
    const reply = chooseReply(accepted, record.request);
    const stopped = await beforeResponse(earlyActs(reply), connection, clock);
    if (connection.isGone) {
      record.settle({ state: "aborted", outputTokens: 0, usage: null });
      throw abortError();
    }
    if (stopped?.act === "cut") {
      record.settle({ state: "cut", status: 0, outputTokens: 0 });
      throw new NetworkError("Network connection lost.");
    }
    if (stopped?.act === "fail") return fail(errorOf(stopped), record, requestId);
    if (reply.kind === "error") return fail(reply, record, requestId);
    if (reply.kind === "raw") return sendRaw(reply, record, requestId, connection);

    const prompt = layOut(request, accepted.digests);
    const started = record.request.at;
    const { bill, begin } = cache.bill(prompt, request.model.minCacheable, started);
    const diagnostics = readDiagnostics(request.body, (previous) =>
      cache.diagnose(previous, prompt, bill.read),
    );
    const made = answer(accepted, reply, bill, diagnostics, memory);
    cache.remember(made.id, prompt);
    limits.take({ requests: 1, "input-tokens": accepted.inputTokens - bill.read }, started);
    const usage = isObject(made.message.usage) ? made.message.usage : {};
    const send = request.stream ? sendStream : sendJson;
    return send({ made, reply, record, requestId, connection, begin, usage });
  }

  function chooseReply(accepted: Accepted, request: RecordedRequest): Reply {
    if (accepted.request.maxTokens === 0) {
      return { kind: "message", blocks: [], stop_reason: "max_tokens" };
    }
    const handled = handler?.(request);
    if (handled) return toReply(handled);
    const queued = queue.shift();
    if (queued) return queued;
    if (options.friendly) return friendlyReply(accepted, options.pace ?? 0);
    throw new Error("no reply is scripted for this request");
  }

  function sendStream(sending: Sending): Response {
    const { made, reply, record, requestId, connection, begin } = sending;
    const events = planEvents(made);
    const pieces: Piece[] = events.map(({ data, tokens, delta }) => ({
      bytes: frame(stringAt(data, "type"), data),
      tokens,
      pause: delta !== undefined && delta > 0 ? (reply.pace ?? 0) : 0,
    }));
    let outputTokens = 0;
    const body = deliver(pieces, actsByEvent(reply, events), reply, connection, clock, {
      onTokens(tokens) {
        if (outputTokens === 0) begin();
        outputTokens = tokens;
      },
      onEnd(end) {
        limits.take({ "output-tokens": outputTokens }, clock.now());
        record.settle(outcomeOf(end, outputTokens, sending));
      },
    });
    return new Response(body, {
      headers: {
        "content-type": "text/event-stream; charset=utf-8",
        "cache-control": "no-cache",
        "request-id": requestId,
        ...limits.headers(clock.now()),
      },
    });
  }

  async function sendJson(sending: Sending): Promise<Response> {
    const { made, reply, record, requestId, connection, begin, usage } = sending;
    const acts = (reply.acts ?? []).filter(({ at }) => at !== "request").map(({ act }) => act);
    const stopped = await beforeResponse(acts, connection, clock);
    const outputTokens = Number(usage.output_tokens ?? 0);
    if (connection.isGone) {
      record.settle({ state: "aborted", outputTokens, usage });
      throw abortError();
    }
    if (stopped?.act === "fail") return fail(errorOf(stopped), record, requestId);
    begin();
    limits.take({ "output-tokens": outputTokens }, clock.now());
    const bytes = JSON.stringify(made.message);
    const cuts = new Map<number, readonly Act[]>(
      stopped?.act === "cut" ? [[0, [{ act: "insert", frame: bytes.slice(0, 20) }, stopped]]] : [],
    );
    const pieces = [{ bytes, tokens: outputTokens, pause: 0 }];
    const body = deliver(pieces, cuts, reply, connection, clock, {
      onTokens() {},
      onEnd: (end) => record.settle(outcomeOf(end, outputTokens, sending)),
    });
    return new Response(body, {
      headers: {
        "content-type": "application/json",
        "request-id": requestId,
        ...limits.headers(clock.now()),
      },
    });
  }

  function sendRaw(
    reply: RawReply,
    record: OpenRecord,
    requestId: string,
    connection: Connection,
  ): Response {
    const pieces = [{ bytes: reply.body, tokens: 0, pause: 0 }];
    const acts = new Map<number, Act[]>();
    for (const { at, act } of reply.acts ?? []) {
      if (at === "request") continue;
      const place = at === "headers" || at === 0 ? 0 : 1;
      acts.set(place, [...(acts.get(place) ?? []), act]);
    }
    const { status } = reply;
    const body = deliver(pieces, acts, reply, connection, clock, {
      onTokens() {},
      onEnd(end) {
        if (end === "complete") {
          record.settle({ state: "answered", status, message: null, usage: null });
        } else if (end === "aborted") {
          record.settle({ state: "aborted", outputTokens: 0, usage: null });
        } else {
          record.settle({ state: "cut", status, outputTokens: 0 });
        }
      },
    });
    return new Response(body, { status, headers: { "request-id": requestId, ...reply.headers } });
  }

  function fail(
    error: Problem & { readonly headers?: Readonly<Record<string, string>> },
    record: OpenRecord,
    requestId: string,
  ): Response {
    const { status, type } = error;
    record.settle({ state: "failed", status, type, outputTokens: 0 });
    const now = clock.now();
    return errorResponse(error, requestId, { ...limits.headers(now), ...error.headers });
  }

  return {
    fetch,
    script: (...replies) => void queue.push(...replies.map(toReply)),
    respond(next) {
      handler = next;
    },
    get requests() {
      return journal.requests;
    },
    get unusedReplies() {
      return queue.length;
    },
    expectRefusal: (count = 1) => journal.expectRefusals(count),
    unexpectedRefusals: () => journal.unexpected,
    arrived: (count) => journal.arrived(count),
    settled: (index) => journal.settled(index),
    reset() {
      queue = [];
      handler = undefined;
      limits = new RateLimits();
      memory.clear();
      cache.clear();
      journal.clear();
    },
  };
}
