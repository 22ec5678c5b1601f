/** Names of the objects behind what a client sees. */
import { createHash } from "node:crypto";

/** The account of requests without a key. */
export const ACCOUNT = `acct_${createHash("sha256").update("default").digest("hex").slice(0, 16)}`;

/** The name of a session's object. */
export const objectOf = (session: string): string => `${ACCOUNT}/${session.replace("sess_", "")}`;
