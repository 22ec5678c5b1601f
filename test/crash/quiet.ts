const METHODS = ["log", "warn", "error"] as const;

/**
 * Keeps what the server says while `act` runs. The test runner waits for each line to be printed, and
 * in an object that has ended it would wait for ever.
 */
export async function keepLines<T>(act: (lines: readonly string[]) => Promise<T>): Promise<T> {
  const lines: string[] = [];
  const real = METHODS.map((method) => console[method]);
  for (const method of METHODS) console[method] = (...said) => void lines.push(said.join(" "));
  try {
    return await act(lines);
  } finally {
    for (const [i, method] of METHODS.entries()) console[method] = real[i] ?? console[method];
  }
}
