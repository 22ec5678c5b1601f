/** Looks after the key of a response that lasts: a stream, or an answer that waits for its turn. */
import { clock } from "../shared/clock.ts";
import type { KeyEnd } from "./caller.ts";
import type { HttpContext } from "./context.ts";
import type { FollowEnd, Followed } from "./follow.ts";

/** As often as a stream has its heartbeat. */
const CHECK_MS = 15_000;

type FollowStream = AsyncGenerator<Followed, FollowEnd | null>;

export interface KeyWatch {
  /** Aborts when the response is over, or its key; what is followed ends with it. */
  readonly signal: AbortSignal;
  /** What is followed, which ends with `key_ended` when the key does. */
  over(followed: FollowStream): FollowStream;
}

/** @param over the response's own end */
export function watchKey(c: HttpContext, over: AbortSignal): KeyWatch {
  const { ended } = c.get("credential");
  if (!ended) return { signal: over, over: (followed) => followed };
  const stop = new AbortController();
  return {
    signal: AbortSignal.any([over, stop.signal]),
    over: (followed) => watched(followed, ended, stop),
  };
}

async function* watched(
  followed: FollowStream,
  ended: () => Promise<KeyEnd | null>,
  stop: AbortController,
): FollowStream {
  let left = false;
  let end: KeyEnd | null = null;
  let cancelTimer = (): void => {};
  const check = async (): Promise<void> => {
    end = await ended();
    if (end) stop.abort();
    else if (!left) cancelTimer = clock.after(CHECK_MS, check);
  };
  cancelTimer = clock.after(CHECK_MS, check);
  try {
    for (;;) {
      const step = await followed.next();
      // Older rows are read at the client's pace, whom no abort hurries.
      if (end) return { kind: "key_ended", end };
      if (step.done) return step.value;
      yield step.value;
    }
  } finally {
    left = true;
    cancelTimer();
    await followed.return(null);
  }
}
