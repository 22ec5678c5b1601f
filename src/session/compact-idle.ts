/** When a session is compacted although nobody asks for it. Pure. */
import type { State } from "./state.ts";

/**
 * A conversation has to have grown so much, in tokens. It is the least at which the API's own
 * compaction may be set to begin: for much less a summary costs what it saves.
 */
const LEAST_TOKENS = 50_000;

/**
 * An alarm that comes later than this after its time has missed it, in milliseconds: what wakes the
 * session then is somebody who comes back to it.
 */
const LATE_MS = 5 * 60_000;

/** When it is to be compacted, in milliseconds since the epoch; null when it is not. */
export function idleAt(
  { idle, context }: State,
  { now, minutes }: { now: number; minutes: number },
): number | null {
  if (minutes <= 0 || idle.since === null || context.tokens === null) return null;
  if (context.tokens - idle.left < LEAST_TOKENS) return null;
  const at = idle.since + minutes * 60_000;
  return now <= at + LATE_MS ? at : null;
}
