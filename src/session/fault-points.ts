/**
 * Places where something of the session can be seen from outside, so that a test can end the object
 * at each of them. They exist only in a build with `FAULT_POINTS`, which is the tests'; any other
 * build has empty functions here.
 */
declare const FAULT_POINTS: boolean;

export type FaultPoint =
  /** The object has woken with a session on disk. */
  | "wake"
  /** Rows were written, in this very step: the end of the object undoes them. */
  | "commit"
  /** The rows of a commit are on disk. */
  | "committed"
  /** A call is about to be answered. */
  | "answer"
  /** A page of rows is about to be answered. */
  | "page"
  /** A request to the model is about to leave. */
  | "request"
  /** The head of the model's answer has come. */
  | "head"
  /** An event of the model's stream has come. */
  | "event"
  /** The stream has ended well, and nothing of it is written. */
  | "end"
  /** A tool is about to run, or has run. */
  | "tool"
  | "tool_ran"
  /** A message to followers is about to be sent. */
  | "push"
  /** A report to the account is about to leave, or was acknowledged. */
  | "report"
  | "reported"
  /** The account is about to be asked for a lease, or has answered. */
  | "lease"
  | "leased"
  /** A webhook is about to be told, or has answered, and nothing of it is written. */
  | "webhook"
  | "webhook_answered"
  /** The alarm has come. */
  | "alarm"
  /** The data of a deleted session is about to go, or has gone. */
  | "erase"
  | "erased";

export type FaultHandler = (object: DurableObjectState, point: FaultPoint) => void;

const enabled = typeof FAULT_POINTS !== "undefined" && FAULT_POINTS;
let handler: FaultHandler | null = null;

/** Has the handler called at every point, until the next call. */
export function onFaultPoint(next: FaultHandler | null): void {
  handler = next;
}

export function faultPoint(object: DurableObjectState, point: FaultPoint): void {
  if (enabled) handler?.(object, point);
}

/** The points of a commit: in the step that wrote the rows, and once they are on disk. */
export function faultPointsOfCommit(object: DurableObjectState): void {
  if (!enabled || !handler) return;
  faultPoint(object, "commit");
  void object.storage.sync().then(() => faultPoint(object, "committed"));
}
