/** The part of `fold` that is about what a session is set to, and what a turn has said of that. */
import type { RowOf } from "../shared/rows.ts";
import { placedPrompt } from "./prompt.ts";
import { changedSettings } from "./settings.ts";
import { type State, withTurn } from "./state.ts";

export function onUpdated(state: State, { body, seq }: RowOf<"session.updated">): State {
  // A budget is counted where money is.
  const {
    permissions,
    settings,
    cache_ttl,
    model_facts,
    max_budget_usd: _,
    own_anthropic_key,
    system_prompt,
    cwd,
    ...config
  } = body.config;
  return {
    ...state,
    config: { ...state.config, ...config },
    permissions: permissions ?? state.permissions,
    settings: changedSettings(state.settings, settings ?? {}, seq),
    cache_ttl: cache_ttl ?? state.cache_ttl,
    prompt: system_prompt === undefined ? state.prompt : placedPrompt(system_prompt, seq),
    ...(cwd === undefined ? {} : { cwd, moved: true }),
    own_key: own_anthropic_key ?? state.own_key,
    facts: config.model === undefined ? state.facts : (model_facts ?? null),
  };
}

/** A turn says a thing once, however many of its calls it is true of. */
export function onNotice(state: State, { body }: RowOf<"notice">): State {
  return withTurn(state, (turn) =>
    turn.turn === body.turn ? { ...turn, noticed: [...turn.noticed, body.code] } : turn,
  );
}
