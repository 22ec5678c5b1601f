/**
 * The platform lets a test go on in the context of the object that resolved the promise it waited
 * for. In a session's context it can neither read its sockets nor survive the session's end, so a
 * test that waited for something inside of one (a gate, the stand-in) comes home first.
 */
const waiting: (() => void)[] = [];

/**
 * Begins in the context of the caller, which is home from now on; the result ends it.
 *
 * @param everyMs how soon one who comes home is let in
 */
export function beHome(everyMs = 1): () => void {
  const timer = setInterval(() => {
    for (const resolve of waiting.splice(0)) resolve();
  }, everyMs);
  return () => clearInterval(timer);
}

/** Resolves at home. */
export const home = (): Promise<void> => new Promise((resolve) => waiting.push(resolve));
