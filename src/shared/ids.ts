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
