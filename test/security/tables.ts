/** Everything that an object has stored, as text in which bytes can be searched too. */
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { accountId } from "../../src/http/auth.ts";

/** The rows of each table, by the table's name; none where the object never wrote. */
export type Tables = Record<string, string>;

async function tablesIn(object: DurableObjectStub): Promise<Tables> {
  return runInDurableObject(object, (_, { storage: { sql } }) => {
    const tables = sql.exec<{ name: string }>(
      "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name",
    );
    const names = tables.toArray().map(({ name }) => name);
    return Object.fromEntries(
      names
        .filter((name) => !name.startsWith("_cf"))
        .map((name) => [name, rowsOf(sql.exec(`SELECT * FROM "${name}"`).toArray())]),
    );
  });
}

/** A blob as the text that its bytes are in Latin-1, so that ASCII in it can be found. */
const rowsOf = (rows: readonly Record<string, SqlStorageValue>[]): string =>
  rows
    .map((row) =>
      JSON.stringify(row, (_, value: unknown) =>
        value instanceof ArrayBuffer ? new TextDecoder("latin1").decode(value) : value,
      ),
    )
    .join("\n");

export const tablesOfAccount = async (name: string): Promise<Tables> =>
  // What is stored is the same, whatever the class.
  tablesIn(env.ACCOUNT.getByName(await accountId(name)) as DurableObjectStub);

/** @param id `sess_…`, as a key of the account leads to it */
export const tablesOfSession = async (account: string, id: string): Promise<Tables> =>
  tablesIn(
    env.SESSION.getByName(
      `${await accountId(account)}/${id.replace("sess_", "")}`,
    ) as DurableObjectStub,
  );
