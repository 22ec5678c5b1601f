import type { Memory } from "../binding.ts";
import type { Model } from "../models.ts";
import { findModel, lifecycle } from "../models.ts";
import type { RequestDigest } from "../tokens.ts";
import { digestRequest, sumTokens } from "../tokens.ts";
import type { ApiRequest, ApiVersion, Json, JsonObject, Message, Problem } from "../wire.ts";
import { invalid, isObject, isThinking, stringAt } from "../wire.ts";
import { checkCacheMarks } from "./cache-marks.ts";
import { checkCitations } from "./citations.ts";
import { checkCompactionBlocks, checkCompactionRequest } from "./compaction.ts";
import { checkMessageShapes, checkRoles, mergeTurns, readMessages } from "./messages.ts";
import { checkPairing } from "./pairing.ts";
import { checkBodyShape, checkParameters, thinks } from "./parameters.ts";
import type { Followed, MismatchBehavior } from "./thinking.ts";
import { followThinking, withoutDropped } from "./thinking.ts";
import { followToolChanges } from "./tool-changes.ts";
import { checkTools } from "./tools.ts";

export interface Rules {
  readonly requireAlternation: boolean;
  readonly bindingMismatch: MismatchBehavior;
}

export interface Call {
  readonly version: ApiVersion;
  readonly betas: ReadonlySet<string>;
  /** A token count has no `max_tokens` and starts nothing. */
  readonly isCount: boolean;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** An accepted request with everything that later steps derive from it. */
export interface Accepted {
  readonly request: ApiRequest;
  readonly digests: RequestDigest;
  readonly inputTokens: number;
  readonly followed: Followed;
  /** The tool changes that the messages make, for a compaction block. */
  readonly toolChanges: readonly JsonObject[];
}

/** Holds a body against every rule of the API; the first broken one is the answer. */
export function accept(body: Json, call: Call, rules: Rules, memory: Memory): Accepted | Problem {
  const shape = checkBodyShape(body, call.betas, call.isCount);
  if (shape || !isObject(body)) return shape ?? invalid("Input should be a valid dictionary");
  const sent = Array.isArray(body.messages) ? body.messages : [];
  const tools = Array.isArray(body.tools) ? body.tools.filter(isObject) : [];
  const messageProblem = checkMessageShapes(sent, call) ?? checkTools(tools);
  if (messageProblem) return messageProblem;
  const model = findModel(stringAt(body, "model"));
  if (!model || lifecycle(model, call.now) === "retired") {
    return notFound(`model: ${stringAt(body, "model")}`);
  }

  const messages = readMessages(sent);
  const system = readSystem(body.system);
  const turns = mergeTurns(messages);
  const problem =
    checkParameters(body, model, call.version, call.betas) ??
    checkRoles(messages, {
      hasSystemMessages: model.systemMessages,
      requireAlternation: rules.requireAlternation,
    }) ??
    checkCompactionBlocks(messages) ??
    checkPairing(turns) ??
    checkCitations(body, messages) ??
    checkCacheMarks(body, tools, system, messages) ??
    checkCompactionRequest(body, model, messages);
  if (problem) return problem;

  const offer = followToolChanges(tools, messages, {
    hasToolChanges: model.toolChanges,
    betas: call.betas,
  });
  if ("status" in offer) return offer;
  const choice = isObject(body.tool_choice) ? body.tool_choice : {};
  if (choice.type === "tool" && !offer.offered.has(stringAt(choice, "name"))) {
    return invalid(
      `tool_choice.name: Tool '${stringAt(choice, "name")}' not found in provided tools`,
    );
  }

  const sentDigests = digestRequest(tools, system, messages);
  const followed = followThinking(
    { model, tools, messages, digests: sentDigests, isThinkingOff: !thinks(body, model) },
    memory,
    behaviorOf(body) ?? rules.bindingMismatch,
  );
  if ("status" in followed) return followed;
  const ending = checkEnding(body, model, messages, memory.isPause(followed.end.prefix));
  if (ending) return ending;

  const shown = withoutDropped(messages, followed.dropped);
  const digests = followed.dropped.length === 0 ? sentDigests : digestRequest(tools, system, shown);
  const inputTokens = sumTokens(digests);
  if (inputTokens > model.window) {
    return invalid(`prompt is too long: ${inputTokens} tokens > ${model.window} maximum`);
  }
  return {
    request: {
      model,
      version: call.version,
      betas: call.betas,
      body,
      stream: body.stream === true,
      maxTokens: typeof body.max_tokens === "number" ? body.max_tokens : 0,
      system,
      tools,
      messages: shown,
      offered: offer.offered,
      stopSequences: Array.isArray(body.stop_sequences)
        ? body.stop_sequences.filter((sequence) => typeof sequence === "string")
        : [],
    },
    digests,
    inputTokens,
    followed,
    toolChanges: offer.changes,
  };
}

function notFound(message: string): Problem {
  return { status: 404, type: "not_found_error", message };
}

function behaviorOf(body: JsonObject): MismatchBehavior | undefined {
  const thinking = isObject(body.thinking) ? body.thinking : {};
  const binding = isObject(thinking.block_binding) ? thinking.block_binding : {};
  const behavior = binding.prefix_mismatch_behavior;
  return behavior === "error" || behavior === "drop_block" ? behavior : undefined;
}

function readSystem(system: Json | undefined): JsonObject[] {
  if (typeof system === "string") return [{ type: "text", text: system }];
  return Array.isArray(system) ? system.filter(isObject) : [];
}

/**
 * The conversation ends with the user, with three exceptions: an answer that paused, a request for a
 * summary, and a prefill on the older models.
 */
function checkEnding(
  body: JsonObject,
  model: Model,
  messages: readonly Message[],
  isPause: boolean,
): Problem | undefined {
  const last = messages.at(-1);
  if (last?.role !== "assistant" || isPause || isObject(body.compaction)) return undefined;
  if (!model.prefill || thinks(body, model)) {
    return invalid(
      "This model does not support assistant message prefill. The conversation must end with a user message.",
    );
  }
  const block = last.content.at(-1);
  if (block && (isThinking(block) || block.type === "tool_use")) {
    return invalid(
      `messages.${messages.length - 1}: the final assistant message cannot end with a \`${stringAt(block, "type")}\` block`,
    );
  }
  return block && stringAt(block, "text").trimEnd() !== stringAt(block, "text")
    ? invalid("messages: final assistant content cannot end with trailing whitespace")
    : undefined;
}
