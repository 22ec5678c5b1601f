/** Limits of a turn. */
import type { AskedLimits } from "../../session/commands.ts";
import type { Config } from "../../shared/config.ts";

/** `budget` in US dollars; null says nothing of it. */
export const limitsOf = (
  { maxTurns, toolMaxTurns }: Config,
  budget: number | null,
): AskedLimits => ({
  plain: maxTurns,
  tools: toolMaxTurns,
  ...(budget === null ? {} : { max_budget_usd: budget }),
});
