import type { Env } from "../env.ts";
import type { Account } from "./account.ts";

type Methods = Pick<
  Account,
  | "reserve"
  | "admitSession"
  | "noteAudit"
  | "auditPage"
  | "claimName"
  | "report"
  | "lease"
  | "usage"
  | "list"
  | "remove"
  | "isDeletedBy"
  | "setOwnKey"
  | "ownKey"
  | "anthropicKey"
  | "createKey"
  | "listKeys"
  | "rememberAccount"
  | "managedKey"
  | "keyStanding"
  | "updateKey"
  | "revokeKey"
  | "admit"
  | "rateStanding"
  | "templates"
  | "template"
  | "putTemplate"
  | "removeTemplate"
  | "replaceTemplates"
  | "sessionNamed"
  | "codeSessions"
  | "oldestIdle"
  | "codeUsage"
  | "turnAudit"
>;

/** The methods of an account's object, as a caller on the other side sees them. */
export type AccountClient = {
  [Name in keyof Methods]: (
    ...args: Parameters<Methods[Name]>
  ) => Promise<Awaited<ReturnType<Methods[Name]>>>;
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
    admitSession: (...args) => stub().admitSession(...args),
    noteAudit: (...args) => stub().noteAudit(...args),
    auditPage: (...args) => stub().auditPage(...args),
    claimName: (...args) => stub().claimName(...args),
    report: (...args) => stub().report(...args),
    lease: (...args) => stub().lease(...args),
    usage: (...args) => stub().usage(...args),
    list: (...args) => stub().list(...args),
    remove: (...args) => stub().remove(...args),
    isDeletedBy: (...args) => stub().isDeletedBy(...args),
    setOwnKey: (...args) => stub().setOwnKey(...args),
    ownKey: (...args) => stub().ownKey(...args),
    anthropicKey: (...args) => stub().anthropicKey(...args),
    createKey: (...args) => stub().createKey(...args),
    listKeys: (...args) => stub().listKeys(...args),
    rememberAccount: (...args) => stub().rememberAccount(...args),
    managedKey: (...args) => stub().managedKey(...args),
    keyStanding: (...args) => stub().keyStanding(...args),
    updateKey: (...args) => stub().updateKey(...args),
    revokeKey: (...args) => stub().revokeKey(...args),
    admit: (...args) => stub().admit(...args),
    rateStanding: (...args) => stub().rateStanding(...args),
    templates: (...args) => stub().templates(...args),
    template: (...args) => stub().template(...args),
    putTemplate: (...args) => stub().putTemplate(...args),
    removeTemplate: (...args) => stub().removeTemplate(...args),
    replaceTemplates: (...args) => stub().replaceTemplates(...args),
    sessionNamed: (...args) => stub().sessionNamed(...args),
    codeSessions: (...args) => stub().codeSessions(...args),
    oldestIdle: (...args) => stub().oldestIdle(...args),
    codeUsage: (...args) => stub().codeUsage(...args),
    turnAudit: (...args) => stub().turnAudit(...args),
  };
}
