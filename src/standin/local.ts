import type { Standin } from "./standin.ts";
import { createStandin } from "./standin.ts";

/** Each record holds a whole transcript, and an isolate has 128 MB. */
const KEPT_REQUESTS = 100;

let local: Standin | undefined;

/**
 * The stand-in of this isolate: what `npm start` talks to without a key, and what a test in the same
 * isolate scripts. The first call decides the pace.
 *
 * @param paceMs milliseconds between the deltas of the friendly model
 */
export function localStandin(paceMs: number): Standin {
  local ??= createStandin({ friendly: true, pace: paceMs, keepRequests: KEPT_REQUESTS });
  return local;
}
