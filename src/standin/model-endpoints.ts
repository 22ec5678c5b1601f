import type { ModelInfo } from "@anthropic-ai/sdk/resources/models";
import type { Model } from "./models.ts";
import { findModel, lifecycle, MODELS } from "./models.ts";
import type { Problem } from "./wire.ts";
import { invalid } from "./wire.ts";

const DEFAULT_LIMIT = 20;
const MAX_LIMIT = 1_000;

interface ModelPage {
  readonly data: ModelInfo[];
  readonly has_more: boolean;
  readonly first_id: string | null;
  readonly last_id: string | null;
}

/** GET /v1/models: newest first, retired ones only when asked for. */
export function listModels(query: URLSearchParams, now: number): ModelPage | Problem {
  const limit = Number(query.get("limit") ?? DEFAULT_LIMIT);
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LIMIT) {
    return invalid(`limit: Input should be between 1 and ${MAX_LIMIT}`);
  }
  const asked = [...query.getAll("lifecycle[]"), ...query.getAll("lifecycle")];
  const wanted = asked.length > 0 ? asked : ["active", "deprecated"];
  const all = MODELS.filter((model) => wanted.includes(lifecycle(model, now))).sort((a, b) =>
    b.released.localeCompare(a.released),
  );
  const after = query.get("after_id");
  const before = query.get("before_id");
  const indexOf = (id: string) => all.findIndex((model) => model.id === id);
  const start = after === null ? 0 : indexOf(after) + 1;
  const end = before === null ? all.length : indexOf(before);
  if ((after !== null && start === 0) || (before !== null && end === -1)) {
    return invalid(`${after === null ? "before_id" : "after_id"}: unknown model id`);
  }
  const from = before === null ? start : Math.max(start, end - limit);
  const page = all.slice(from, Math.min(end, from + limit));
  return {
    data: page.map((model) => modelInfo(model, now)),
    has_more: before === null ? from + page.length < end : from > start,
    first_id: page[0]?.id ?? null,
    last_id: page.at(-1)?.id ?? null,
  };
}

/** GET /v1/models/{id}: ids and aliases. */
export function getModel(id: string, now: number): ModelInfo | Problem {
  const model = findModel(id);
  return model
    ? modelInfo(model, now)
    : { status: 404, type: "not_found_error", message: `model: ${id}` };
}

function modelInfo(model: Model, now: number): ModelInfo {
  const stage = lifecycle(model, now);
  const effort = (name: string) => supported(model.efforts.some((level) => level === name));
  const thinks = (type: string) => supported(model.thinking.some((allowed) => allowed === type));
  return {
    id: model.id,
    type: "model",
    display_name: model.name,
    created_at: `${model.released}T00:00:00Z`,
    line: model.line,
    lifecycle: stage,
    deprecated_at: stage === "active" ? null : stamp(model.deprecated),
    retires_at: stage === "active" ? null : stamp(model.retires),
    max_input_tokens: model.window,
    max_tokens: model.maxOutput,
    capabilities: {
      batch: supported(true),
      citations: supported(true),
      code_execution: supported(true),
      context_management: {
        supported: true,
        clear_thinking_20251015: supported(true),
        clear_tool_uses_20250919: supported(true),
        compact_20260112: supported(model.compaction),
      },
      effort: {
        supported: model.efforts.length > 0,
        low: effort("low"),
        medium: effort("medium"),
        high: effort("high"),
        xhigh: effort("xhigh"),
        max: effort("max"),
      },
      image_input: supported(true),
      pdf_input: supported(true),
      server_tools: {
        supported: true,
        code_execution: supported(true),
        web_search: supported(true),
      },
      structured_outputs: supported(true),
      thinking: {
        supported: true,
        types: {
          adaptive: thinks("adaptive"),
          between_tools: thinks("between_tools"),
          disabled: thinks("disabled"),
          enabled: thinks("enabled"),
        },
      },
    },
  };
}

function supported(isSupported: boolean): { supported: boolean } {
  return { supported: isSupported };
}

function stamp(date: string | null): string | null {
  return date === null ? null : `${date}T00:00:00Z`;
}
