/**
 * The API's own list of models, for what the table does not have. It is kept in this isolate's memory
 * for some hours: a model call never waits for it, and without it everything goes on by the table.
 */
import { clock } from "../shared/clock.ts";
import { EFFORTS, type ThinkingSetting } from "../shared/settings.ts";
import { apiClient, shortText, type Upstream } from "./api-client.ts";
import type { UpstreamModel } from "./catalogue-list.ts";

const KEPT_MS = 6 * 60 * 60_000;
/** After a failure, and while another request is asking. */
const AGAIN_MS = 60_000;
/** The longest that anybody waits for it. */
const WAIT_MS = 2_000;

const PAGE = 1_000;
const MAX_PAGES = 5;
const MAX_PAGE_BYTES = 4_000_000;

interface Kept {
  /** Whose list it is. */
  of: string;
  /** When the API is asked again, in milliseconds since the epoch. */
  until: number;
  models: readonly UpstreamModel[];
}

let kept: Kept | null = null;

/**
 * The models that the API lists; empty where it cannot be asked. Waits for the API only when nothing
 * is known yet.
 *
 * @param hold keeps the isolate for a request that nobody waits for
 */
export async function upstreamModels(
  upstream: Upstream,
  hold: (refresh: Promise<void>) => void,
): Promise<readonly UpstreamModel[]> {
  const of = `${upstream.baseURL ?? ""} ${upstream.apiKey}`;
  const known = kept?.of === of ? kept : null;
  if (known && clock.now() < known.until) return known.models;
  const models = known?.models ?? [];
  // A promise of one request cannot be waited for by another, so the others go without meanwhile.
  kept = { of, until: clock.now() + AGAIN_MS, models };
  const refresh = fetchModels(upstream).then(
    (found) => {
      kept = { of, until: clock.now() + KEPT_MS, models: found };
    },
    () => {},
  );
  if (known) hold(refresh);
  else await refresh;
  return kept.of === of ? kept.models : models;
}

/** All pages of `GET /v1/models`, retired models included. */
async function fetchModels(upstream: Upstream): Promise<UpstreamModel[]> {
  const connection = new AbortController();
  const cancelTimer = clock.after(WAIT_MS, () => connection.abort());
  try {
    const client = apiClient(upstream, WAIT_MS + 10_000);
    const models: UpstreamModel[] = [];
    let after = {};
    for (let page = 0; page < MAX_PAGES; page++) {
      const lifecycle = ["active", "deprecated", "retired"];
      const response = await client
        .get("/v1/models", {
          query: { limit: PAGE, lifecycle, ...after },
          // A redirect would carry the key to another address.
          fetchOptions: { redirect: "manual" },
          signal: connection.signal,
        })
        .asResponse();
      const { data, has_more, last_id } = recordOf(
        JSON.parse(await shortText(response, MAX_PAGE_BYTES)),
      );
      if (!Array.isArray(data)) throw new Error("no list of models");
      models.push(...data.map(modelIn).filter((model) => model !== null));
      if (has_more !== true || typeof last_id !== "string") break;
      after = { after_id: last_id };
    }
    return models;
  } finally {
    cancelTimer();
    connection.abort();
  }
}

const THINKING: readonly ThinkingSetting["type"][] = [
  "adaptive",
  "between_tools",
  "disabled",
  "enabled",
];
/** Tokens that a list may plausibly name; anything else counts as not said. */
const MAX_TOKENS = 10_000_000;

/** An entry of the list, or null where it is of no use. */
function modelIn(entry: unknown): UpstreamModel | null {
  const { id, display_name, lifecycle, max_input_tokens, max_tokens, capabilities } =
    recordOf(entry);
  if (typeof id !== "string" || !/^[A-Za-z0-9][\w.:@/-]{0,127}$/.test(id)) return null;
  const { thinking, effort, server_tools, structured_outputs } = recordOf(capabilities);
  const told = Object.keys(recordOf(capabilities)).length > 0;
  const types = recordOf(recordOf(thinking).types);
  const levels = recordOf(effort);
  const own = recordOf(server_tools);
  return {
    id,
    retired: lifecycle === "retired",
    facts: {
      name: typeof display_name === "string" ? display_name.slice(0, 100).toWellFormed() : id,
      max_input_tokens: tokensIn(max_input_tokens),
      max_tokens: tokensIn(max_tokens),
      thinking: told ? THINKING.filter((type) => isSupported(types[type])) : null,
      effort: EFFORTS.filter((level) => isSupported(levels[level])),
      server_tools:
        isSupported(own) && isSupported(own.web_search) && isSupported(own.code_execution),
      structured_outputs: !told || isSupported(structured_outputs),
    },
  };
}

const isSupported = (capability: unknown): boolean => recordOf(capability).supported === true;

const tokensIn = (value: unknown): number | null =>
  Number.isInteger(value) && Number(value) >= 1_024 && Number(value) <= MAX_TOKENS
    ? Number(value)
    : null;

/** The value's members, where it is an object. */
const recordOf = (value: unknown): Record<string, unknown> =>
  typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
