/**
 * All statements that run from now on. A cursor knows its rows for good when it has been read, so
 * they are summed up at the end.
 */
export function watchCursors(sql: SqlStorage): { rowsRead: number; rowsWritten: number }[] {
  const exec = sql.exec.bind(sql);
  const cursors: { rowsRead: number; rowsWritten: number }[] = [];
  Object.defineProperty(sql, "exec", {
    configurable: true,
    value: (query: string, ...values: SqlStorageValue[]) => {
      const cursor = exec(query, ...values);
      cursors.push(cursor);
      return cursor;
    },
  });
  return cursors;
}

/** Counts what an object writes and is billed for: rows, and each `setAlarm` as one. */
export function countBilled({ storage }: DurableObjectState): () => number {
  const cursors = watchCursors(storage.sql);
  const setAlarm = storage.setAlarm.bind(storage);
  let alarms = 0;
  Object.defineProperty(storage, "setAlarm", {
    configurable: true,
    value: (...values: Parameters<typeof setAlarm>) => {
      alarms += 1;
      return setAlarm(...values);
    },
  });
  return () => alarms + cursors.reduce((sum, { rowsWritten }) => sum + rowsWritten, 0);
}
