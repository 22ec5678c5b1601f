/**
 * The operator's log: one line of JSON for each turn, each failure, each request with an unknown key
 * and each unexpected error. A line
 * has ids, codes and figures. It never has the message of an error or of an API, which may quote a
 * key, a ticket or a piece of a conversation.
 */
import type { OutcomeKind } from "./rows.ts";
import type { Usage } from "./usage.ts";

/** Where in the log of a session something happened. */
export interface LoggedPlace {
  account: string;
  session: string;
}

export interface TurnLine extends LoggedPlace {
  event: "turn";
  turn: string;
  outcome: OutcomeKind;
  code: string | null;
  model: string;
  /** Model calls, those included that failed. */
  calls: number;
  /** From the submission's first row to its end, in milliseconds. */
  ms: number;
  /** From the same row to the model's first output; null when this object did not see it. */
  first_output_ms: number | null;
  usage: Usage;
  cost_usd: number | null;
  /** A part of the usage is an estimate. */
  estimated: boolean;
}

export interface FailureLine extends LoggedPlace {
  event: "failure";
  /** Null for a compaction outside a turn. */
  turn: string | null;
  code: string;
  /** The model call's id at the API, where it gave one. */
  request_id: string | null;
  /** How long the call ran, in milliseconds. */
  ms: number | null;
  /** The number of the next attempt and the milliseconds until then; null when there is none. */
  retry: { attempt: number; in_ms: number } | null;
}

/** A webhook was not told of the end of a job. Whose it is is not said: an address may hold a token. */
export interface WebhookLine extends LoggedPlace {
  event: "webhook";
  job: string;
  attempt: number;
  /** What was answered; null where nothing was. */
  status: number | null;
  /** Milliseconds until the next attempt; null when there is none. */
  retry_in_ms: number | null;
}

export interface ErrorLine extends Partial<LoggedPlace> {
  event: "error";
  /** What failed. */
  what: string;
  error: { name: string; frames: string[] };
  request_id?: string;
  method?: string;
  path?: string;
}

/** A request with a key that opens nothing here: whose it was is not known. */
export interface RefusedLine {
  event: "refused";
  code: "unknown_key";
  request_id: string;
  method: string;
  /** As the route table has it, without what the request put into it. */
  route: string;
}

/** How grave a line is, in rising order; `CRITICAL` is graver than any line. */
export const LOG_LEVELS = ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] as const;

export type LogLevel = (typeof LOG_LEVELS)[number];

const LEVEL_OF = {
  turn: "INFO",
  failure: "WARNING",
  webhook: "WARNING",
  refused: "WARNING",
  error: "ERROR",
} as const;

let least: LogLevel = "INFO";

/** From now on only lines of this level and of graver ones are written. */
export function writeFrom(level: LogLevel): void {
  least = level;
}

export type LogLine = TurnLine | FailureLine | WebhookLine | RefusedLine | ErrorLine;

/** Writes one line. Failures are warnings and unexpected errors are errors in the platform's log. */
export function writeLine(line: LogLine): void {
  if (LOG_LEVELS.indexOf(LEVEL_OF[line.event]) < LOG_LEVELS.indexOf(least)) return;
  const text = JSON.stringify(line);
  if (line.event === "error") console.error(text);
  else if (LEVEL_OF[line.event] === "WARNING") console.warn(text);
  else console.log(text);
}

/** Kind and place of an error, without its message. */
export function errorOf(error: unknown): ErrorLine["error"] {
  if (!(error instanceof Error)) return { name: typeof error, frames: [] };
  const lines = error.stack?.split("\n") ?? [];
  const frames = lines.map((line) => line.trim()).filter((line) => /^at .*:\d+:\d+\)?$/.test(line));
  return { name: error.name, frames: frames.slice(0, 10) };
}
