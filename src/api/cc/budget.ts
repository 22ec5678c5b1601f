/** `max_budget_usd`, in a turn and in a session. */
import * as v from "valibot";

const MAX_USD = 1_000_000_000;

/** US dollars; zero is a limit of nothing. */
export const BudgetField = v.pipe(v.number(), v.finite(), v.minValue(0), v.maxValue(MAX_USD));
