/**
 * The tables of an account's object. They are made by the first write: reading an account that
 * has nothing creates nothing.
 *
 * A written row is what storage costs, so no table has a secondary index, and none has a hidden
 * rowid beside its key (`WITHOUT ROWID`; a text key on a rowid table bills two rows for one).
 */
import { AUDIT_TABLE } from "./audit-table.ts";
import { KEY_TABLE } from "./key-table.ts";
import { makeNameTables } from "./name-table.ts";
import { RATE_TABLE } from "./rate-table.ts";
import { SECRET_TABLE } from "./secret-table.ts";
import { TEMPLATE_TABLE } from "./template-table.ts";

const FIGURES = `
  calls INTEGER NOT NULL,
  turns INTEGER NOT NULL,
  -- Tokens: fresh, written for five minutes and for an hour, read, and of the answers.
  fresh INTEGER NOT NULL,
  write_5m INTEGER NOT NULL,
  write_1h INTEGER NOT NULL,
  read INTEGER NOT NULL,
  output INTEGER NOT NULL,
  thinking INTEGER NOT NULL,
  searches INTEGER NOT NULL,
  -- US dollars of the calls with a price, the part that is an estimate, and the calls without one.
  cost REAL NOT NULL,
  estimated REAL NOT NULL,
  unpriced INTEGER NOT NULL,`;

const TABLES = `
CREATE TABLE IF NOT EXISTS session (
  -- The session's ULID. It begins with the time of creation, so the order of the key is the
  -- order of the list, and the last id of a page is the cursor of the next.
  id TEXT PRIMARY KEY,
  -- The row of the session's log that the summary counts up to. Reports may come late or twice;
  -- one with no higher seq writes nothing.
  seq INTEGER NOT NULL,
  -- SessionSummary as JSON. One column, since it is written and read as a whole.
  summary TEXT NOT NULL
) WITHOUT ROWID, STRICT;

CREATE TABLE IF NOT EXISTS tombstone (
  -- The ULID of a deleted session. A table of its own, so that a page of the list never steps
  -- over deleted sessions.
  id TEXT PRIMARY KEY,
  -- When the session was deleted, in milliseconds since the epoch.
  deleted_at INTEGER NOT NULL,
  -- FinalFigures as JSON: what the session cost, for usage and budgets, with its label and its
  -- jobs, and nothing that its user wrote (no title, no metadata).
  figures TEXT NOT NULL
) WITHOUT ROWID, STRICT;

CREATE TABLE IF NOT EXISTS key (
  -- The day (in UTC, since the epoch) on which the key was first used. It leads the primary key,
  -- so that what is older than 24 hours is a range of it and needs no index on the time; a key
  -- is looked up in two days.
  day INTEGER NOT NULL,
  -- Route and idempotency key, as the Worker puts them together.
  key TEXT NOT NULL,
  -- SHA-256 of the request's body: the same key with another body is a conflict.
  hash TEXT NOT NULL,
  -- The ULID that the first request with this key reserved.
  session TEXT NOT NULL,
  -- When, in milliseconds since the epoch: a key is kept for 24 hours from there.
  at INTEGER NOT NULL,
  PRIMARY KEY (day, key)
) WITHOUT ROWID, STRICT;

CREATE TABLE IF NOT EXISTS usage (
  -- What one session used of one model on one day, as the session last said it. The day leads, so
  -- that a period is a range of the key.
  day INTEGER NOT NULL,
  session TEXT NOT NULL,
  model TEXT NOT NULL,
  -- The row of the session's log up to which the figures count: a higher one replaces them.
  seq INTEGER NOT NULL,
${FIGURES}
  PRIMARY KEY (day, session, model)
) WITHOUT ROWID, STRICT;

CREATE TABLE IF NOT EXISTS closed (
  -- The sums of a day that is over, so that no budget and no list adds up sessions for ever. A day
  -- is closed once, when later ones have begun; what is reported of it afterwards is added.
  day INTEGER NOT NULL,
  model TEXT NOT NULL,
${FIGURES}
  PRIMARY KEY (day, model)
) WITHOUT ROWID, STRICT;

CREATE TABLE IF NOT EXISTS lease (
  -- The session that may spend.
  session TEXT PRIMARY KEY,
  -- Counts the session's leases.
  n INTEGER NOT NULL,
  -- What the session may have cost in all its life.
  ceiling REAL NOT NULL,
  -- Under it no call begins from here on, in milliseconds since the epoch.
  expires_at INTEGER NOT NULL,
  -- It outlives its turn: 1 or 0.
  keep INTEGER NOT NULL
) WITHOUT ROWID, STRICT;

CREATE TABLE IF NOT EXISTS lease_key (
  -- The managed key on whose behalf the session has its lease. Few leases are of a key that has a
  -- budget, so the others do without this row.
  session TEXT PRIMARY KEY,
  -- key_<ulid>
  key TEXT NOT NULL
) WITHOUT ROWID, STRICT;

CREATE TABLE IF NOT EXISTS key_usage (
  -- The same as usage for what a managed key pays, in its stead: a turn is a row in one of the two.
  day INTEGER NOT NULL,
  -- key_<ulid>. It follows the day, so that the open days of a key are few ranges.
  key TEXT NOT NULL,
  session TEXT NOT NULL,
  model TEXT NOT NULL,
  seq INTEGER NOT NULL,
${FIGURES}
  PRIMARY KEY (day, key, session, model)
) WITHOUT ROWID, STRICT;

CREATE TABLE IF NOT EXISTS key_closed (
  -- The part of closed that a managed key has paid. The key leads, so that all its days are a range.
  key TEXT NOT NULL,
  day INTEGER NOT NULL,
  model TEXT NOT NULL,
${FIGURES}
  PRIMARY KEY (key, day, model)
) WITHOUT ROWID, STRICT;
`;

/** Whether the tables are there. Reads only. */
export const hasSchema = (sql: SqlStorage): boolean =>
  sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'session'").toArray().length > 0;

/** Makes the tables that are missing, and gives those of older versions their present form. */
export const makeSchema = (sql: SqlStorage): void => {
  sql.exec(TABLES);
  makeNameTables(sql);
  sql.exec(AUDIT_TABLE);
  sql.exec(KEY_TABLE);
  sql.exec(RATE_TABLE);
  sql.exec(SECRET_TABLE);
  sql.exec(TEMPLATE_TABLE);
};
