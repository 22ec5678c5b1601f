/** What the Claude CLI server's API answers, as the description of the API shows it. Loaded for that only. */
import * as v from "valibot";

const said = <S extends v.GenericSchema>(schema: S, words: string) =>
  v.pipe(schema, v.description(words));

const Cost = said(v.nullable(v.number()), "US dollars; null where the model has no known price.");
const Tokens = said(v.looseObject({}), "Tokens, as the Anthropic API counts them.");
const Outcome = v.exactOptional(
  said(v.string(), "Why the turn ended, where that is not `completed`."),
);

export const ChatError = said(
  v.looseObject({
    error: said(v.string(), "For people."),
    code: said(v.string(), "For programs."),
    session_id: v.exactOptional(v.string()),
    stderr: v.exactOptional(said(v.string(), "With 502: why.")),
    returncode: v.exactOptional(v.number()),
    status: v.exactOptional(v.literal("error")),
  }),
  "An error.",
);

export const ChatAnswer = v.object({
  result: v.string(),
  session_id: said(v.string(), "Send it with the next message."),
  cost_usd: Cost,
  usage: Tokens,
  model: v.string(),
  outcome: Outcome,
});

export const ChatFrame = v.variant("type", [
  v.object({ type: v.literal("start"), session_id: v.string(), model: v.string() }),
  v.object({ type: v.literal("delta"), text: v.string() }),
  v.object({
    type: v.literal("done"),
    result: said(v.string(), "The whole answer, whatever the deltas were."),
    cost_usd: Cost,
    usage: Tokens,
    session_id: v.string(),
    outcome: Outcome,
  }),
  v.object({
    type: v.literal("error"),
    error: v.string(),
    code: v.string(),
    session_id: v.string(),
  }),
]);

export const Accepted = v.object({
  session_id: v.string(),
  status: v.literal("accepted"),
  url: v.string(),
});

export const Health = v.object({ status: v.literal("ok"), claude_version: v.string() });
