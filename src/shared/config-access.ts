/** The variables that say who may use the server, from where, and how much at once. */
import {
  BOOLEAN_RULE,
  integerRule,
  isHost,
  isKey,
  isOrigin,
  KEY_RULE,
  listOf,
  oneOf,
  readBoolean,
  readInteger,
  readKeys,
} from "./config-readers.ts";
import { table, type Variable } from "./config-table.ts";
import { MAX_RATE_REQUESTS, MAX_RATE_WINDOW } from "./keys.ts";
import { LOG_LEVELS, type LogLevel } from "./log-line.ts";

export const ACCESS_VARIABLES = table({
  API_KEYS: {
    meaning:
      "Keys that clients send, as `name:key` separated by commas. The name is the account; several keys may have one name; a key without a name opens the account `default`.",
    rule: `a comma-separated list of \`name:key\` or \`key\`, each name of up to 64 letters, digits, \`.\`, \`_\`, \`@\` or \`-\`, each key ${KEY_RULE}, no key under two names`,
    fallback: null,
    secret: true,
    read: readKeys,
  },
  CC_API_KEY: {
    meaning: "One more key that clients send; it opens the account `default`.",
    rule: KEY_RULE,
    fallback: null,
    secret: true,
    read: (text) => (isKey(text) ? text : null),
  },
  ALLOW_ANONYMOUS: {
    meaning:
      "Serves requests without a key, but only while no key is set, and only those to and from this machine (`localhost`).",
    rule: BOOLEAN_RULE,
    fallback: false,
    secret: false,
    read: readBoolean,
  },
  CORS_ORIGINS: {
    meaning: "Origins whose web pages may call this server, separated by commas; `*` for all.",
    rule: "a comma-separated list of origins such as `https://app.example.com`, or `*`",
    fallback: null,
    secret: false,
    read: (text) => listOf(text, isOrigin),
  },
  ENABLE_DOCS: {
    meaning:
      "Serves the description of the API: the pages `/docs` and `/redoc`, and `/openapi.json`. Whoever reaches the server can read them without a key. `false`: they are not there.",
    rule: BOOLEAN_RULE,
    fallback: true,
    secret: false,
    read: readBoolean,
  },
  RATE_LIMIT_REQUESTS: {
    meaning:
      "How many turns a key may start in a window of `RATE_LIMIT_WINDOW` seconds where it has no limit of its own. Unset: no limit.",
    rule: integerRule(1, MAX_RATE_REQUESTS),
    fallback: null,
    secret: false,
    read: readInteger(1, MAX_RATE_REQUESTS),
  },
  RATE_LIMIT_WINDOW: {
    meaning:
      "The length of that window, in seconds. It slides: there is no moment at which it begins anew.",
    rule: integerRule(1, MAX_RATE_WINDOW),
    fallback: 60,
    secret: false,
    read: readInteger(1, MAX_RATE_WINDOW),
  },
  MAX_BODY_MB: {
    meaning: "The largest request body, in units of 1,048,576 bytes.",
    // A body is held in memory while it is read, and an isolate has 128 MB for all its requests.
    rule: integerRule(1, 16),
    fallback: 16,
    secret: false,
    read: readInteger(1, 16),
  },
  FETCH_ALLOW_HOSTS: {
    meaning:
      "Hosts from which images and documents may be fetched although they are local, as `host` or `host:port` separated by commas. Without a port: 80 and 443.",
    rule: "a comma-separated list of hosts such as `files.internal` or `localhost:9000`, in lower case",
    fallback: null,
    secret: false,
    read: (text) => listOf(text, isHost),
  },
  LOG_LEVEL: {
    meaning:
      "The least grave lines of the operator's log that are written: `INFO` has one for each turn, `WARNING` failures and unexpected errors, `ERROR` the latter alone, `CRITICAL` none. `DEBUG` is as `INFO`.",
    rule: oneOf(LOG_LEVELS),
    fallback: "INFO",
    secret: false,
    read: (text) => LOG_LEVELS.find((level) => level === text.toUpperCase()) ?? null,
  } satisfies Variable<LogLevel>,
});
