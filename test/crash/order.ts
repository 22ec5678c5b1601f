import { Session } from "../../src/session/session.ts";

/**
 * A Worker sends the dial for a response and the submission together, and which of them comes first is
 * for the platform to say. Here it is the dial, so that a script comes to the same places each time.
 * An object that has come back is not dialled before it has answered, so there nothing waits.
 */
export function dialFirst(waits: () => boolean): () => void {
  const { fetch, submit } = Session.prototype;
  const dialled = new Set<string>();
  const waiting = new Map<string, () => void>();
  Session.prototype.fetch = async function (this: Session, request) {
    const response = await fetch.call(this, request);
    const reads = new URL(request.url).searchParams.get("reads");
    if (reads !== null) {
      dialled.add(reads);
      if (waits()) waiting.get(reads)?.();
    }
    return response;
  };
  Session.prototype.submit = async function (this: Session, submission) {
    const { submission: id, detached, command } = submission;
    const reads = !detached && (command.kind === "input" || command.kind === "results");
    if (reads && waits() && !dialled.has(id)) {
      await new Promise<void>((resolve) => waiting.set(id, resolve));
    }
    return submit.call(this, submission);
  };
  return () => void Object.assign(Session.prototype, { fetch, submit });
}
