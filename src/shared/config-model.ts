/** The variables that say which models answer, and at what address. */
import {
  BOOLEAN_RULE,
  integerRule,
  isKey,
  isModelId,
  KEY_RULE,
  listOf,
  numberRule,
  oneOf,
  readBoolean,
  readHttpUrl,
  readInteger,
  readNumber,
} from "./config-readers.ts";
import { table, type Variable } from "./config-table.ts";
import { EFFORTS, type Effort } from "./settings.ts";

/** The platform takes no more in one variable. */
const MAX_PROMPT = 5_000;

export const MODEL_VARIABLES = table({
  ANTHROPIC_API_KEY: {
    meaning:
      "The key for the Anthropic API, which pays for all model calls that are not made with a key of the account's or session's own.",
    rule: KEY_RULE,
    fallback: null,
    secret: true,
    read: (text) => (isKey(text) ? text : null),
  },
  ANTHROPIC_BASE_URL: {
    meaning: "An address that replaces the Anthropic API's own, such as a gateway.",
    rule: "an http or https URL without credentials, query or fragment",
    fallback: null,
    secret: false,
    read: readHttpUrl,
  },
  CLAUDE_RETRY_MAX_ATTEMPTS: {
    meaning:
      "Attempts of a model call, the first one included, before its turn fails. One that had produced text counts twice.",
    rule: integerRule(1, 20),
    fallback: 8,
    secret: false,
    read: readInteger(1, 20),
  },
  CLAUDE_RETRY_BASE_DELAY: {
    meaning:
      "The longest wait before the second attempt, in seconds. A wait is random below its limit, and never shorter than the API asks for.",
    rule: numberRule(0, 60),
    fallback: 0.5,
    secret: false,
    read: readNumber(0, 60),
  },
  CLAUDE_RETRY_BACKOFF_FACTOR: {
    meaning: "By how much the longest wait grows from one attempt to the next.",
    rule: numberRule(1, 10),
    fallback: 2,
    secret: false,
    read: readNumber(1, 10),
  },
  CLAUDE_RETRY_MAX_DELAY: {
    meaning: "What the longest wait grows to, in seconds.",
    rule: numberRule(0, 600),
    fallback: 30,
    secret: false,
    read: readNumber(0, 600),
  },
  STANDIN: {
    meaning:
      "Switches the stand-in on: model calls are answered by a local imitation of the API. Used only while no `ANTHROPIC_API_KEY` is set.",
    rule: BOOLEAN_RULE,
    fallback: false,
    secret: false,
    read: readBoolean,
  },
  STANDIN_PACE_MS: {
    meaning: "Milliseconds that the stand-in waits between two pieces of text.",
    rule: integerRule(0, 10_000),
    fallback: 0,
    secret: false,
    read: readInteger(0, 10_000),
  },
  CC_API_MODEL: {
    meaning: "The model of sessions that name none.",
    rule: "a model id",
    fallback: "claude-sonnet-5-5",
    secret: false,
    read: (text) => (isModelId(text) ? text : null),
  },
  CLAUDE_MODEL: {
    meaning: "The same under the name that claude-code-api has for it. `CC_API_MODEL` wins.",
    rule: "a model id",
    fallback: null,
    secret: false,
    read: (text) => (isModelId(text) ? text : null),
  },
  CC_API_MODELS: {
    meaning: "The models that the model list shows, separated by commas.",
    rule: "a comma-separated list of model ids",
    fallback: null,
    secret: false,
    read: (text) => listOf(text, isModelId),
  },
  CLAUDE_SYSTEM_PROMPT: {
    meaning:
      "The system prompt of sessions that are created without one; an empty one of theirs is none.",
    rule: `a text of at most ${MAX_PROMPT} characters`,
    fallback: null,
    secret: false,
    read: (text) => (text.length <= MAX_PROMPT ? text.toWellFormed() : null),
  },
  CLAUDE_EFFORT: {
    meaning: "The effort of sessions that are created without one. Unset: the model's own.",
    rule: oneOf(EFFORTS),
    fallback: null,
    secret: false,
    read: (text) => EFFORTS.find((effort) => effort === text) ?? null,
  } satisfies Variable<Effort>,
});
