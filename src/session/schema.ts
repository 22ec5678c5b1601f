/**
 * The tables of a session object. `docs/storage.md` has the reasons; the rule behind all of them is
 * that a write is billed by the row and by the index, so the log has no secondary index and the
 * working tables are rebuilt from it.
 */
import { SECRET_TABLE } from "../account/secret-table.ts";
import { JOB_TABLE } from "./job-table.ts";

/**
 * Written into `head`; an object of a newer format is refused instead of misread. It rises with
 * every change of a table or of the folded state, so that an older state is folded anew.
 */
export const FORMAT_VERSION = 5;

/** Tables that an older format does not have. */
export const ADDED_TABLES = `${SECRET_TABLE}
${JOB_TABLE}
CREATE TABLE IF NOT EXISTS seen (
  path TEXT PRIMARY KEY,
  sha  TEXT NOT NULL,
  seq  INTEGER NOT NULL
) WITHOUT ROWID;
`;

/** Made by `create` only, so that a probe of an unknown id leaves nothing behind. */
export const SCHEMA = `
CREATE TABLE log (
  seq  INTEGER PRIMARY KEY,
  at   INTEGER NOT NULL,
  type TEXT NOT NULL,
  body TEXT NOT NULL
);
CREATE TABLE part (
  seq  INTEGER NOT NULL,
  n    INTEGER NOT NULL,
  data TEXT NOT NULL,
  PRIMARY KEY (seq, n)
) WITHOUT ROWID;
CREATE TABLE media (
  sha  TEXT NOT NULL,
  n    INTEGER NOT NULL,
  data BLOB NOT NULL,
  PRIMARY KEY (sha, n)
) WITHOUT ROWID;
CREATE TABLE head (
  id       INTEGER PRIMARY KEY CHECK (id = 1),
  version  INTEGER NOT NULL,
  secret   TEXT NOT NULL,
  seq      INTEGER NOT NULL,
  state    TEXT NOT NULL,
  reported INTEGER NOT NULL
);
CREATE TABLE turn (
  n   INTEGER PRIMARY KEY,
  seq INTEGER NOT NULL
);
CREATE TABLE key (
  key  TEXT PRIMARY KEY,
  hash TEXT NOT NULL,
  seq  INTEGER NOT NULL,
  at   INTEGER NOT NULL
) WITHOUT ROWID;
${ADDED_TABLES}`;
