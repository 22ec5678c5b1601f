import type { TestSession } from "./sessions.ts";

/**
 * How many rows of SQLite the session's object steps over while `act` runs: what is read costs
 * money and time, whether it is returned or not.
 */
export async function rowsRead(session: TestSession, act: () => Promise<unknown>): Promise<number> {
  let read = 0;
  await session.inside(({ storage: { sql } }) => {
    const exec = sql.exec.bind(sql);
    Object.defineProperty(sql, "exec", {
      configurable: true,
      value: (query: string, ...values: SqlStorageValue[]) => {
        const cursor = exec(query, ...values);
        // Whoever reads it does so at once, and only its own object may ask one that has more rows.
        queueMicrotask(() => {
          read += cursor.rowsRead;
        });
        return cursor;
      },
    });
  });
  try {
    await act();
  } finally {
    await session.inside(({ storage: { sql } }) => {
      Reflect.deleteProperty(sql, "exec");
    });
  }
  return read;
}
