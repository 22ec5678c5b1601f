/** The model list that clients see: the table, and what the API lists beyond it. */
import type { ModelFacts } from "../shared/settings.ts";
import { MODELS, type ModelRules, resolveModel, retiredAt, rulesOf } from "./catalogue.ts";
import { type Price, priceOf, undated } from "./prices.ts";

/** A model as the API lists it. */
export interface UpstreamModel {
  id: string;
  /** The API does not serve it any more. */
  retired: boolean;
  facts: ModelFacts;
}

/** An entry of CC API's model list. */
export interface ListedModel {
  id: string;
  name: string;
  /** Tokens. */
  context_length: number;
  /** Tokens. */
  max_completion_tokens: number;
  /** US dollars per token as decimal strings; absent when the model has no price. */
  pricing?: { prompt: string; completion: string; cache_read: string; cache_write: string };
}

/**
 * The entries of `GET /api/models`, each model under its API id and under the dotted
 * `anthropic/…` alias, because clients look their configured name up by text.
 *
 * @param configured names from the configuration, in the order wanted; null lists every model
 *   that is served at `at` (milliseconds since the epoch)
 * @param upstream what the API lists; empty where that is not known
 */
export function listModels(
  configured: readonly string[] | null,
  upstream: readonly UpstreamModel[],
  at: number,
): ListedModel[] {
  const ids = configured?.map(resolveModel) ?? servedModels(upstream, at);
  return [...new Set(ids)].flatMap((id) => {
    const facts = factsOfModel(id, upstream);
    const entry = listed(rulesOf(id, facts), facts, priceOf(id, at, 0));
    const alias = dottedAlias(id);
    return alias === null ? [entry] : [entry, { ...entry, id: alias }];
  });
}

/** What the API says of a model, if it lists it. */
export function factsOfModel(id: string, upstream: readonly UpstreamModel[]): ModelFacts | null {
  const found = upstream.find((one) => one.id === id) ?? upstream.find((one) => same(one.id, id));
  return found?.facts ?? null;
}

/** A snapshot is the model that it is a snapshot of. */
const same = (a: string, b: string): boolean => undated(a) === undated(b);

function servedModels(upstream: readonly UpstreamModel[], at: number): string[] {
  const gone = upstream.filter(({ retired }) => retired).map(({ id }) => undated(id));
  const table = MODELS.filter(({ id }) => retiredAt(id, at) === null && !gone.includes(id));
  const others = upstream.filter(({ id, retired }) => !retired && !rulesOf(id).known);
  return [...table, ...others].map(({ id }) => id);
}

function listed(rules: ModelRules, facts: ModelFacts | null, price: Price | null): ListedModel {
  const entry = {
    id: rules.id,
    name: rules.name,
    context_length: facts?.max_input_tokens ?? rules.context_window,
    max_completion_tokens: facts?.max_tokens ?? rules.max_output,
  };
  if (price === null) return entry;
  return {
    ...entry,
    pricing: {
      prompt: perToken(price.input),
      completion: perToken(price.output),
      cache_read: perToken(price.cache_read),
      cache_write: perToken(price.cache_write_5m),
    },
  };
}

/** Dollars per million tokens as dollars per token, without an exponent. */
function perToken(perMillion: number): string {
  return (perMillion / 1_000_000).toFixed(12).replace(/\.?0+$/, "");
}

/** `claude-opus-4-6` → `anthropic/claude-opus-4.6`; null for an id of another form. */
function dottedAlias(id: string): string | null {
  if (!id.startsWith("claude-")) return null;
  return `anthropic/${id.replace(/^(claude-[a-z]+-\d+)-(\d{1,2})(?=-|$)/, "$1.$2")}`;
}
