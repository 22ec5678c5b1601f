/** Turns, what is done while one runs, and what is seen of them. */
import * as v from "valibot";
import {
  type Answer,
  json,
  jsonBody,
  type Operation,
  type Operations,
  type Problems,
} from "../../../http/openapi/operation.ts";
import { ConfirmationsRequest } from "../confirmations.ts";
import { ResultsRequest, TurnRequest } from "../decode.ts";
import { EventsQuery } from "../events.ts";
import { InterruptRequest } from "../interrupt.ts";
import { PageQuery } from "../page.ts";
import type * as Answers from "./answers.ts";
import type * as Events from "./events.ts";

const TURNS = "Ledge: turns";
const EVENTS = "Ledge: events";

export const TURN_TAGS = {
  [TURNS]: "A turn is a message and all that the model and its tools make of it.",
  [EVENTS]: "What happens in a session: in pages, or as it happens.",
};

const SESSION = "/api/sessions/:id";

const HOW = `The answer comes when the turn ends or waits for the client: as JSON, or as events with \`"stream": true\` or \`Accept: text/event-stream\`. A client that leaves stops nothing.`;

const FAILURES: Problems = {
  401: [],
  502: ["*"],
  503: ["*"],
  504: ["turn_still_running"],
  507: ["session_full"],
};

const SENT: Pick<Operation, "headers"> = {
  headers: ["Idempotency-Key", "Prefer", "Last-Event-ID"],
};

export function turnOperations(answers: typeof Answers, events: typeof Events): Operations {
  /** Of everything that is answered with its turn. */
  const answered: Record<number, Answer> = {
    200: {
      description: "The turn, or its events. A failed turn is a problem, or the frame `error`.",
      headers: ["Idempotency-Replayed"],
      content: [
        { kind: "json", schema: answers.Turn },
        { kind: "events", events: events.TURN_FRAMES },
      ],
    },
    202: json(answers.AcceptedTurn, "With `Prefer: wait=0`: it goes on.", {
      headers: ["Location", "Idempotency-Replayed"],
    }),
  };
  return {
    [`POST ${SESSION}/turns`]: {
      id: "createTurn",
      tag: TURNS,
      summary: "Sends a message",
      description: HOW,
      ...SENT,
      body: jsonBody(TurnRequest, { input: "Count to 5." }),
      answers: answered,
      problems: {
        ...FAILURES,
        400: ["blocked"],
        409: ["turn_in_progress", "input_cancelled", "cursor_ahead"],
        413: ["media_limit", "moderation_limit"],
      },
    },
    [`GET ${SESSION}/turns`]: {
      id: "listTurns",
      tag: TURNS,
      summary: "The session's turns",
      query: PageQuery,
      answers: {
        200: json(
          answers.page(answers.ListedTurn),
          "A page of the turns, newest first, without texts.",
        ),
      },
    },
    [`GET ${SESSION}/turns/:turn`]: {
      id: "getTurn",
      tag: TURNS,
      summary: "A turn, also while it runs",
      answers: { 200: json(answers.TurnNow, "The turn, as far as it is known.") },
    },
    [`POST ${SESSION}/tool-results`]: {
      id: "createToolResults",
      tag: TURNS,
      summary: "Answers calls of the client's tools",
      description: `Results may come in several requests. ${HOW}`,
      ...SENT,
      body: jsonBody(ResultsRequest, {
        results: [{ tool_call_id: "call_3_0", content: "18 degrees, rain" }],
      }),
      answers: answered,
      problems: {
        ...FAILURES,
        409: ["call_settled", "input_cancelled", "cursor_ahead"],
        413: ["media_limit"],
      },
    },
    [`GET ${SESSION}/pending`]: {
      id: "listPendingCalls",
      tag: TURNS,
      summary: "Tool calls that wait for a result or a confirmation",
      answers: { 200: json(v.object({ data: v.array(answers.PendingCall) }), "The calls.") },
    },
    [`POST ${SESSION}/confirmations`]: {
      id: "createConfirmations",
      tag: TURNS,
      summary: "Allows or denies calls of built-in tools",
      description: `What is allowed runs once no question is open any more. ${HOW}`,
      ...SENT,
      body: jsonBody(ConfirmationsRequest, {
        confirmations: [{ tool_call_id: "call_3_0", decision: "allow" }],
      }),
      answers: answered,
      problems: {
        ...FAILURES,
        400: ["blocked"],
        409: ["call_settled", "input_cancelled", "cursor_ahead"],
        413: ["moderation_limit"],
      },
    },
    [`POST ${SESSION}/interrupt`]: {
      id: "interruptTurn",
      tag: TURNS,
      summary: "Stops the running turn",
      description:
        "At once: the text so far is kept, and open tool calls are settled. Where nothing runs it does nothing.",
      headers: ["Idempotency-Key"],
      body: jsonBody(InterruptRequest, { cancel_queued: false }, { optional: true }),
      answers: {
        200: json(answers.Interruption, "What was stopped.", { headers: ["Idempotency-Replayed"] }),
      },
    },
    [`GET ${SESSION}/queue`]: {
      id: "listQueue",
      tag: TURNS,
      summary: "Messages that wait for their turn",
      answers: { 200: json(v.object({ data: v.array(answers.QueuedInput) }), "The messages.") },
    },
    [`DELETE ${SESSION}/queue/:input`]: {
      id: "cancelQueued",
      tag: TURNS,
      summary: "Takes a message back that waits",
      headers: ["Idempotency-Key"],
      answers: {
        200: json(v.object({ id: v.string(), cancelled: v.literal(true) }), "It is cancelled.", {
          headers: ["Idempotency-Replayed"],
        }),
      },
      problems: { 409: ["not_queued"] },
    },
    [`GET ${SESSION}/events`]: {
      id: "listEvents",
      tag: EVENTS,
      summary: "The session's events",
      description:
        "`wait` holds the request until there is one. A page may be empty with `has_more` when the types that are asked for are rare.",
      query: EventsQuery,
      answers: {
        200: json(
          v.object({
            data: v.array(events.Event),
            has_more: v.boolean(),
            last_id: v.pipe(
              v.number(),
              v.description("Everything up to here was read: go on with `after=<last_id>`."),
            ),
          }),
          "A page of the events, oldest first.",
        ),
      },
      problems: { 400: ["invalid_cursor"], 409: ["cursor_ahead"] },
    },
    [`GET ${SESSION}/events/stream`]: {
      id: "streamEvents",
      tag: EVENTS,
      summary: "The session's events as they happen",
      description:
        "From `Last-Event-ID`, else `after`, else the beginning; then live, until the client leaves or the session is deleted. The page here shows what comes until nothing has come for three seconds.",
      query: v.object({ after: EventsQuery.entries.after, ticket: v.optional(v.string()) }),
      headers: ["Last-Event-ID"],
      answers: {
        200: {
          description: "The events, and what the model is writing.",
          content: [{ kind: "events", events: events.STREAM_FRAMES }],
        },
        204: { description: "The ticket has expired." },
      },
      problems: { 400: ["invalid_cursor"] },
    },
    [`POST ${SESSION}/stream-ticket`]: {
      id: "createStreamTicket",
      tag: EVENTS,
      summary: "A ticket for an `EventSource`",
      description: "It opens the session's stream, and nothing else, for 12 hours.",
      headers: ["Idempotency-Key"],
      body: jsonBody(v.object({}), {}, { optional: true }),
      answers: {
        200: json(
          v.object({ ticket: v.string(), url: v.string(), expires_at: answers.Time }),
          "The ticket, and the address with it.",
        ),
      },
    },
  };
}
