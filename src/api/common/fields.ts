/** Fields that requests of several surfaces have. */
import * as v from "valibot";
import { LongText } from "../../shared/long-text.ts";

/** A string, or what stands for one. */
export const isText = (value: unknown): value is string =>
  typeof value === "string" || value instanceof LongText;

const whole = v.string();

/** A string that may be a `LongText`, in a body that `readLongJson` reads. */
export const Characters: typeof whole = {
  ...whole,
  "~run"(dataset, config) {
    if (!(dataset.value instanceof LongText)) return whole["~run"](dataset, config);
    // It stands for a string wherever one is passed on, which is all that is done with it.
    return { value: dataset.value as unknown as string, typed: true };
  },
};

const MAX_USD = 1_000_000_000;

/** US dollars; zero is a limit of nothing. */
export const BudgetField = v.pipe(v.number(), v.finite(), v.minValue(0), v.maxValue(MAX_USD));

/** What a provider calls its models: `claude-opus-4-6`, `anthropic/claude-opus-4.6`. */
export const ModelField = v.pipe(v.string(), v.regex(/^[A-Za-z0-9][A-Za-z0-9._:@/-]{0,127}$/));

const MAX_SYSTEM = 50_000;

/** An instruction for one message: it stays in the conversation, so it has a limit. */
export const SystemField = v.pipe(
  v.string(),
  // Counted in code points, of which a text has no more than units.
  v.check(
    (text) => text.length <= MAX_SYSTEM || [...text].length <= MAX_SYSTEM,
    `The text may have at most ${MAX_SYSTEM} characters`,
  ),
);

const MAX_NAME = 128;

const NAME_RULE = `The name must have 1 to ${MAX_NAME} characters, none of them a control character, and no white space at its ends`;

/** A name of a session. What looks alike is the same name. */
export const NameField = v.pipe(
  v.string(),
  v.normalize("NFC"),
  v.check((name) => /^(?!\s)[^\p{Cc}]+(?<!\s)$/u.test(name) && name.length <= MAX_NAME, NAME_RULE),
);
