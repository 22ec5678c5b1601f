/** Counts what an object writes and is billed for: rows, and each `setAlarm` as one. */
export function countBilled({ storage }: DurableObjectState): () => number {
  const { sql } = storage;
  const exec = sql.exec.bind(sql);
  const setAlarm = storage.setAlarm.bind(storage);
  const cursors: { rowsWritten: number }[] = [];
  let alarms = 0;
  Object.defineProperty(sql, "exec", {
    configurable: true,
    value: (query: string, ...values: SqlStorageValue[]) => {
      const cursor = exec(query, ...values);
      cursors.push(cursor);
      return cursor;
    },
  });
  Object.defineProperty(storage, "setAlarm", {
    configurable: true,
    value: (...values: Parameters<typeof setAlarm>) => {
      alarms += 1;
      return setAlarm(...values);
    },
  });
  // A cursor knows its rows for good when it has been read, so they are summed up at the end.
  return () => alarms + cursors.reduce((sum, { rowsWritten }) => sum + rowsWritten, 0);
}
