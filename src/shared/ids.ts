/** Public ids. Each contains a ULID or the number of a row, so that a look-up is a read by primary key. */

/** A ULID in a pattern. */
export const ULID = "[0-7][0-9A-HJKMNP-TV-Z]{25}";

const WHOLE_ULID = new RegExp(`^${ULID}$`);
const SESSION_ID = new RegExp(`^sess_(${ULID})$`);

export const isUlid = (text: string): boolean => WHOLE_ULID.test(text);

export const sessionId = (ulid: string): string => `sess_${ulid}`;
/** The ULID in a session's public id, or null when it is not one. */
export const sessionUlid = (id: string): string | null => SESSION_ID.exec(id)?.[1] ?? null;

export const turnId = (turn: number): string => `turn_${turn}`;
export const inputId = (input: number): string => `input_${input}`;
export const messageId = (call: number, i: number): string => `msg_${call}_${i}`;
export const toolCallId = (call: number, i: number): string => `call_${call}_${i}`;

/** The digits of a ULID, from 0 to 31. */
const ULID_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/** 36 of the random bits of a session's ULID, as hex. */
function sessionDigits(session: string): string {
  let bits = 0;
  for (const digit of session.slice(-8)) bits = bits * 32 + ULID_DIGITS.indexOf(digit);
  return Math.floor(bits / 16)
    .toString(16)
    .padStart(9, "0");
}

/**
 * A job's id, in the form that claude-code-api's clients know: digits of its session's ULID, since clients
 * keep the jobs of several sessions by their ids, and its input's number.
 */
export const jobId = (session: string, input: number): string =>
  sessionDigits(session) + input.toString(16).padStart(7, "0");
/** The number of the input in the id of one of the session's jobs, or null when it is not one. */
export const numberInJobId = (session: string, id: string): number | null =>
  /^[0-9a-f]{16}$/.test(id) && id.startsWith(sessionDigits(session))
    ? Number.parseInt(id.slice(9), 16) || null
    : null;

/** The id of a message to a webhook: `session` is a ULID, `delivery` the row that asks for it. */
export const webhookId = (session: string, delivery: number): string =>
  `msg_${session}_${delivery}`;

/** The number in a public id of the given kind, or null when it is not one. */
export function numberInId(kind: "turn" | "input", id: string): number | null {
  const match = new RegExp(`^${kind}_([1-9][0-9]{0,14})$`).exec(id);
  return match ? Number(match[1]) : null;
}

/** The `call.started` seq and block index in a tool call's public id, or null. */
export function toolCallPlace(id: string): { call: number; i: number } | null {
  const match = /^call_([1-9][0-9]{0,14})_(0|[1-9][0-9]{0,5})$/.exec(id);
  return match ? { call: Number(match[1]), i: Number(match[2]) } : null;
}
