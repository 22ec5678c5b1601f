/**
 * The edge to the Messages API: opens one streaming call and reports how it failed, if it did.
 * It never repeats a call; that is a decision of retry.ts and a row of the log.
 */
import { Stream } from "@anthropic-ai/sdk/core/streaming";
import { APIError } from "@anthropic-ai/sdk/error";
import { clock } from "../shared/clock.ts";
import { apiClient, type Upstream } from "./api-client.ts";
import { eventIn } from "./event.ts";
import { keyHiding } from "./key-hiding.ts";
import type { StreamEvent } from "./message.ts";
import type { EncodedRequest } from "./request-body.ts";
import { CallFailed, type Failure, type RetryHeaders } from "./retry.ts";

/** What the head of the response told, whatever its status. */
export interface ResponseStart {
  status: number;
  request_id: string | null;
  /** Milliseconds from the request to the response's head. */
  ms: number;
}

export interface StreamOptions {
  /** Aborting closes the connection at once; iteration then throws the signal's reason. */
  signal: AbortSignal;
  onStart?: (start: ResponseStart) => void;
  /** Longest silence before the first event, in milliseconds. */
  firstByteMs?: number;
  /** Longest silence from then on. Every byte ends a silence, those of pings too. */
  stallMs?: number;
}

/** Far above the longest answer: what sends more does not end, and would fill the memory. */
const MAX_STREAM_BYTES = 32_000_000;
/** An error is a sentence, a page of a proxy a little more. */
const MAX_ERROR_BYTES = 64_000;

/**
 * Sends one request and yields the events of its answer, `message_stop` as the last.
 *
 * @throws CallFailed with the failure, for `classify`; the signal's reason when it was aborted
 */
export async function* openStream(
  upstream: Upstream,
  { body, betas }: EncodedRequest,
  { signal, onStart, firstByteMs = 300_000, stallMs = 90_000 }: StreamOptions,
): AsyncGenerator<StreamEvent, void, undefined> {
  signal.throwIfAborted();
  const hide = keyHiding(upstream.apiKey);
  const connection = new AbortController();
  const abort = () => connection.abort(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  const fail = (failure: Failure) => connection.abort(new CallFailed(failure));
  const silence = watchSilence(firstByteMs, (ms) => fail({ kind: "stall", ms }));
  const began = clock.now();
  let sent = false;
  let answered = false;

  const send: typeof fetch = async (input, init) => {
    sent = true;
    const response = await untilAborted((upstream.fetch ?? fetch)(input, init), connection.signal);
    answered = true;
    silence.heard();
    onStart?.({
      status: response.status,
      request_id: requestId(response.headers, hide.has),
      ms: clock.now() - began,
    });
    const type = mediaType(response.headers);
    if (response.ok && type !== "text/event-stream") {
      fail({ kind: "malformed", detail: `${hide.inText(type)} instead of an event stream` });
      // Nobody will read it, and it may not end.
      response.body?.cancel().catch(() => {});
      connection.signal.throwIfAborted();
    }
    if (response.body === null) return response;
    const body = watchBody(response.body, {
      heard: silence.heard,
      signal: connection.signal,
      room: response.ok ? MAX_STREAM_BYTES : MAX_ERROR_BYTES,
      // Of an error the beginning is enough.
      full: () => {
        if (response.ok) fail({ kind: "malformed", detail: "its answer does not end" });
      },
    });
    return new Response(body, { status: response.status, headers: response.headers });
  };

  try {
    // Ours ends a silent connection first.
    const client = apiClient({ ...upstream, fetch: send }, firstByteMs + 60_000);
    const response = await client
      .post("/v1/messages", {
        body: body.take(),
        headers: {
          // The SDK sets it for what it encodes itself.
          "content-type": "application/json",
          ...(betas.length > 0 ? { "anthropic-beta": betas.join(",") } : {}),
        },
        // A redirect would carry the key to another address.
        fetchOptions: { redirect: "manual" },
        signal: connection.signal,
        stream: true,
      })
      .asResponse();
    let first = true;
    for await (const frame of Stream.rawEvents(response)) {
      // A chunk may hold events behind the one at which the reader aborted.
      connection.signal.throwIfAborted();
      const event = eventIn({ ...frame, data: hide.inAnswer(frame.data) });
      if (event === null) continue;
      if (first) silence.tighten(stallMs);
      first = false;
      yield event;
      if (event.type === "message_stop") return;
    }
    connection.signal.throwIfAborted();
    throw new CallFailed({ kind: "cut" });
  } catch (error) {
    // The SDK gives an abort another face, so the reason is taken from its source.
    connection.signal.throwIfAborted();
    const failure = error instanceof CallFailed ? error.failure : failureOf(error, sent, answered);
    throw new CallFailed(withoutKey(failure, hide.inText), upstream.owner);
  } finally {
    silence.stop();
    signal.removeEventListener("abort", abort);
    connection.abort();
  }
}

/** What an error of the SDK says; its own text may hold parts of the request and is dropped. */
function failureOf(error: unknown, sent: boolean, answered: boolean): Failure {
  if (!sent) return { kind: "unsent" };
  if (!answered) return { kind: "network" };
  if (!(error instanceof APIError) || error.status === undefined) return { kind: "cut" };
  const { status, type, errorCode, apiMessage } = error;
  return {
    kind: "http",
    status,
    type: textOr(type),
    error_code: errorCode,
    message: textOr(apiMessage),
    headers: retryHeaders(error.headers),
  };
}

/** A gateway may say in its error what it was sent. */
function withoutKey(failure: Failure, hide: (text: string) => string): Failure {
  if (!("message" in failure) || failure.message === null) return failure;
  return { ...failure, message: hide(failure.message) };
}

/** The SDK's types are those of the API, and what answers need not be the API. */
const textOr = (value: unknown): string | null => (typeof value === "string" ? value : null);

function retryHeaders(headers: Headers | undefined): RetryHeaders {
  const names = ["retry-after", "retry-after-ms", "x-should-retry"] as const;
  const found: RetryHeaders = {};
  for (const name of names) {
    const value = headers?.get(name);
    if (value != null) found[name] = value;
  }
  return found;
}

/** The API's id of the call, which clients and logs show, so only what has the form of one. */
function requestId(headers: Headers, isSecret: (text: string) => boolean): string | null {
  const id = headers.get("request-id") ?? "";
  return /^[\w.:-]{1,128}$/.test(id) && !isSecret(id) ? id : null;
}

/** The media type without its parameters, in lower case; a text that says so where it is none. */
function mediaType(headers: Headers): string {
  const [type = ""] = (headers.get("content-type") ?? "").split(";");
  return /^\s*([\w.+-]+\/[\w.+-]+)\s*$/.exec(type)?.[1]?.toLowerCase() ?? "no content type";
}

/** Calls `onSilence` once, after `ms` milliseconds without `heard`. */
function watchSilence(ms: number, onSilence: (ms: number) => void) {
  let limit = ms;
  let since = clock.now();
  // One timer for the whole stream: `heard` is called for every chunk and only notes the time.
  const check = () => {
    const left = since + limit - clock.now();
    if (left > 0) cancel = clock.after(left, check);
    else onSilence(limit);
  };
  let cancel = clock.after(ms, check);
  return {
    heard: () => {
      since = clock.now();
    },
    tighten: (ms: number) => {
      limit = ms;
      cancel();
      check();
    },
    stop: () => cancel(),
  };
}

interface Watch {
  /** Called for each chunk. */
  heard: () => void;
  signal: AbortSignal;
  /** How many bytes are taken. */
  room: number;
  /** Called when there are more; the body ends there. */
  full: () => void;
}

/**
 * The same bytes. An abort cancels the source, which ends a pending read even where the source
 * itself ignores it.
 */
function watchBody(
  body: ReadableStream<Uint8Array>,
  { heard, signal, room, full }: Watch,
): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  let left = room;
  const cancel = () => reader.cancel(signal.reason).catch(() => {});
  signal.addEventListener("abort", () => void cancel(), { once: true });
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await reader.read();
        heard();
        left -= value?.length ?? 0;
        if (!done && left >= 0) return controller.enqueue(value);
        if (left < 0) full();
        controller.close();
        if (!done) await cancel();
      },
      cancel,
    },
    { highWaterMark: 0 },
  );
}

/** The promise's result, or the signal's reason if that comes first. */
function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) reject(signal.reason);
    const abort = () => reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}
