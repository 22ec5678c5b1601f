import type { Env } from "../env.ts";
import type { Account } from "./account.ts";

type Methods = Pick<
  Account,
  "reserve" | "report" | "lease" | "usage" | "list" | "remove" | "isDeletedBy"
>;

/** The methods of an account's object, as a caller on the other side sees them. */
export type AccountClient = {
  [Name in keyof Methods]: (
    ...args: Parameters<Methods[Name]>
  ) => Promise<ReturnType<Methods[Name]>>;
};

/**
 * The object of the account with this id. Each call takes a stub of its own: one whose object was
 * reset fails for ever.
 */
export function accountOf(env: Pick<Env, "ACCOUNT">, id: string): AccountClient {
  // The platform's own type for a stub does not end on a recursive one such as `Json`. What it
  // would say of these methods, which take and give plain data, is what `AccountClient` says.
  const stub = () => env.ACCOUNT.getByName(id) as unknown as AccountClient;
  return {
    reserve: (...args) => stub().reserve(...args),
    report: (...args) => stub().report(...args),
    lease: (...args) => stub().lease(...args),
    usage: (...args) => stub().usage(...args),
    list: (...args) => stub().list(...args),
    remove: (...args) => stub().remove(...args),
    isDeletedBy: (...args) => stub().isDeletedBy(...args),
  };
}
