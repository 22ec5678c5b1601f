/**
 * Counts rows written and read, and calls between objects. One isolate holds them all under
 * `wrangler dev`.
 */

/** One call between two parties, by the order of its beginning and its end. */
export interface Call {
  what: string;
  began: number;
  ended: number | null;
}

export const calls: Call[] = [];
let clock = 0;

type Cursor = Pick<SqlStorageCursor<Record<string, SqlStorageValue>>, "rowsRead" | "rowsWritten">;

interface Rows {
  /** The sum of `rowsWritten` of all cursors. */
  rows: number;
  /** Calls of `setAlarm`, each billed as a row. */
  alarms: number;
  /** Rows written, by the first words of their statement. */
  by: Record<string, number>;
  /** The sum of `rowsRead`: rows that SQLite stepped over, returned or not. */
  read: number;
}

let counters: Record<string, Rows> = {};

const rowsOf = (object: string): Rows => {
  counters[object] ??= { rows: 0, alarms: 0, by: {}, read: 0 };
  return counters[object];
};

/** What each object has written and read since the last call, by the object's name. */
export function rows(): Record<string, Rows> {
  const all = counters;
  counters = {};
  return all;
}

function count(object: string, query: string, cursor: Cursor): void {
  const { rowsWritten, rowsRead } = cursor;
  // Bookkeeping of the local runtime, which no deployed object has.
  if (query.includes("__miniflare")) return;
  const sum = rowsOf(object);
  sum.read += rowsRead;
  if (rowsWritten === 0) return;
  const statement = /^\s*\w+(?: OR \w+)?(?: INTO| FROM)? \w+/.exec(query)?.[0].trim() ?? query;
  sum.rows += rowsWritten;
  sum.by[statement] = (sum.by[statement] ?? 0) + rowsWritten;
}

/** Counts what an object writes and reads. */
export function countStorage({ id, storage }: DurableObjectState): void {
  const object = id.name ?? "";
  const { sql } = storage;
  const exec = sql.exec.bind(sql);
  const setAlarm = storage.setAlarm.bind(storage);
  Object.defineProperty(sql, "exec", {
    value: (query: string, ...values: SqlStorageValue[]) => {
      const cursor = exec(query, ...values);
      // Whoever reads it does so at once, and only its own object may ask one that has more rows.
      queueMicrotask(() => count(object, query, cursor));
      return cursor;
    },
  });
  Object.defineProperty(storage, "setAlarm", {
    value: (...values: Parameters<typeof setAlarm>) => {
      rowsOf(object).alarms += 1;
      return setAlarm(...values);
    },
  });
}

/** The function, with its calls in the trace. */
export function traced<A extends unknown[], R>(
  what: string,
  call: (...values: A) => Promise<R>,
): (...values: A) => Promise<R> {
  return async (...values) => {
    const entry: Call = { what, began: clock++, ended: null };
    calls.push(entry);
    try {
      return await call(...values);
    } finally {
      entry.ended = clock++;
    }
  };
}

/** A namespace whose stubs trace their calls. */
export function counted<T extends Rpc.DurableObjectBranded | undefined>(
  namespace: DurableObjectNamespace<T>,
  from: string,
): DurableObjectNamespace<T> {
  return new Proxy(namespace, {
    get(target, name) {
      if (name !== "getByName") return Reflect.get(target, name);
      return (...values: Parameters<typeof target.getByName>) =>
        new Proxy(target.getByName(...values), {
          get: (stub, method) => traced(`${from}: ${String(method)}`, bound(stub, method)),
        });
    },
  });
}

type Method = (...values: unknown[]) => Promise<unknown>;

/** A method of a platform object, which must be called on the object itself. */
function bound(target: object, name: string | symbol): Method {
  return (...values) => {
    // Whatever else a stub or namespace has is not used here.
    const method = Reflect.get(target, name) as Method;
    return Reflect.apply(method, target, values);
  };
}
