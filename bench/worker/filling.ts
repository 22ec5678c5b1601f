/** What a session is filled with, for the Worker that does it and those who ask it to. */
export interface Filling {
  /** Turns to add, five rows each. */
  turns: number;
  /** Characters of each answer. */
  characters: number;
  /** The first of them brings the client's whole transcript: the context begins anew with it. */
  replay?: boolean;
  /** Rounds of a tool call in each turn, before its answer. */
  rounds?: Rounds;
  /** The text of each message. */
  message?: string;
}

export interface Rounds {
  count: number;
  /** The client answers a call, after an outcome; or the session does, within the same part. */
  by: "client" | "session";
  /** The turn stays open: its last call waits for the client, or has its result and is gone on with. */
  open?: boolean;
}

/** Sessions for an account's index. */
export interface AccountFilling {
  /** The number of the first one, and how many. */
  from: number;
  count: number;
  /** The number of the one that a search is to find. */
  needle: number;
}

/** One in so many of them was made through claude-code-api, with this label. */
export const LABELLED = 10;
export const LABEL = "ann";
