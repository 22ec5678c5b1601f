/** The variables that say how many sessions there may be, and for how long. */
import { integerRule, readInteger } from "./config-readers.ts";
import { table } from "./config-table.ts";

/** Ten years. */
const MAX_HOURS = 87_600;
const MAX_DAYS = 3_650;
const MAX_SESSIONS = 1_000_000;

export const SESSION_VARIABLES = table({
  MAX_SESSIONS_PER_USER: {
    meaning:
      "Sessions that an account may have at a time; another one is refused with 409 `session_limit`, and none is deleted for it. Only under `/api/v1` the idle session of that API in which nothing happened for longest makes room for a new one. Unset: no limit.",
    rule: integerRule(1, MAX_SESSIONS),
    fallback: null,
    secret: false,
    read: readInteger(1, MAX_SESSIONS),
  },
  SESSION_TIMEOUT_HOURS: {
    meaning:
      "Hours after which a session in which nothing happens is deleted, with its files; one that waits for the client is, too. Reading it changes nothing. 0: never.",
    rule: integerRule(0, MAX_HOURS),
    fallback: 0,
    secret: false,
    read: readInteger(0, MAX_HOURS),
  },
  AUDIT_DAYS: {
    meaning:
      "Days for which an account's audit is kept: who did what, and what was refused. What is older is not shown any more, and removed little by little by what happens later. 0: none is kept.",
    rule: integerRule(0, MAX_DAYS),
    fallback: 90,
    secret: false,
    read: readInteger(0, MAX_DAYS),
  },
});
