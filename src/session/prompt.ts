/** The session's system prompt, which the folded state knows by its row only. */
import { createHash } from "node:crypto";
import { piecesOf } from "../shared/long-text.ts";
import type { Row, TurnOptions } from "../shared/rows.ts";
import type { PlacedPrompt, State } from "./state.ts";

/** The prompt that the row `seq` brought; the text may be a `LongText`. */
export function placedPrompt(text: string | null, seq: number): PlacedPrompt {
  if (text === null) return { seq, sha: null };
  const sha = createHash("sha256");
  for (const piece of piecesOf(text)) sha.update(piece);
  return { seq, sha: sha.digest("hex") };
}

/** The prompt that the message in the row `seq` brings, or null. */
export const broughtPrompt = (
  { system_prompt }: Pick<TurnOptions, "system_prompt">,
  seq: number,
): PlacedPrompt | null => (system_prompt === undefined ? null : placedPrompt(system_prompt, seq));

/** The state when a turn opens whose message brings `prompt`: it is the session's from then on. */
export const withPrompt = (state: State, prompt: PlacedPrompt | null): State =>
  prompt ? { ...state, prompt } : state;

/** The prompt in its row, or null. */
export function promptIn(row: Row | undefined): string | null {
  switch (row?.type) {
    case "session.created":
    case "session.updated":
      return row.body.config.system_prompt ?? null;
    case "input":
      return row.body.options.system_prompt ?? null;
    default:
      return null;
  }
}
