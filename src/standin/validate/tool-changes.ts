import type { JsonObject, Message, Problem } from "../wire.ts";
import { invalid, isObject, objectsAt, stringAt } from "../wire.ts";
import { among, checkFields, dictionary, required, text } from "./shape.ts";
import { toolDefinition } from "./tools.ts";

const CHANGES_BETA = "mid-conversation-tool-changes-2026-07-01";
const INLINE_BETA = "inline-tools-2026-09-15";

export interface Offer {
  /** Tools that the model may call after the last message. */
  readonly offered: ReadonlyMap<string, JsonObject>;
  /** The changes that lead there from the request's `tools`, as a compaction block records them. */
  readonly changes: readonly JsonObject[];
}

/** Plays `tool_addition` and `tool_removal` blocks over the request's tools, in order. */
export function followToolChanges(
  tools: readonly JsonObject[],
  messages: readonly Message[],
  rules: { readonly hasToolChanges: boolean; readonly betas: ReadonlySet<string> },
): Offer | Problem {
  const known = new Map(tools.map((tool) => [stringAt(tool, "name"), tool]));
  const offered = new Map(known);
  for (const [name, tool] of known) if (tool.defer_loading === true) offered.delete(name);
  const changes: JsonObject[] = [];
  for (const [i, message] of messages.entries()) {
    for (const [j, block] of message.content.entries()) {
      const path = `messages.${i}.content.${j}`;
      if (block.type === "compaction") {
        for (const change of objectsAt(block, "tool_changes")) apply(change, known, offered);
        continue;
      }
      if (block.type !== "tool_addition" && block.type !== "tool_removal") continue;
      const problem = checkChange(block, path, known, offered, rules);
      if (problem) return problem;
      apply(block, known, offered);
      changes.push(withoutMark(block));
    }
  }
  return { offered, changes };
}

function checkChange(
  block: JsonObject,
  path: string,
  known: ReadonlyMap<string, JsonObject>,
  offered: ReadonlyMap<string, JsonObject>,
  rules: { readonly hasToolChanges: boolean; readonly betas: ReadonlySet<string> },
): Problem | undefined {
  const kind = stringAt(block, "type");
  if (!rules.hasToolChanges) {
    return invalid(`${path}: \`${kind}\` blocks are not supported on this model`);
  }
  if (!rules.betas.has(CHANGES_BETA)) {
    return invalid(`${path}: \`${kind}\` blocks require the \`${CHANGES_BETA}\` beta header`);
  }
  const tool = isObject(block.tool) ? block.tool : {};
  const at = `${path}.${kind}.tool`;
  if (tool.type === "tool_definition" && kind === "tool_addition") {
    if (!rules.betas.has(INLINE_BETA)) {
      return invalid(`${at}: inline tool definitions require the \`${INLINE_BETA}\` beta header`);
    }
    const problem =
      checkFields(tool, at, { type: required(text), definition: required(dictionary) }) ??
      toolDefinition(tool.definition ?? null, `${at}.definition`);
    if (problem) return problem;
    const name = nameOf(block);
    return offered.has(name)
      ? invalid(
          `${at}: a tool named '${name}' is already available at this point`,
          "tool_name_conflict",
        )
      : undefined;
  }
  const problem = checkFields(tool, at, {
    type: required(among("tool_reference")),
    name: required(text),
  });
  if (problem) return problem;
  const name = nameOf(block);
  if (!known.has(name)) {
    return invalid(
      `${at}: tool '${name}' is not defined at this point in the conversation`,
      "tool_reference_unresolved",
    );
  }
  if (kind === "tool_addition" && offered.has(name)) {
    return invalid(`${at}: tool '${name}' is already available at this point`);
  }
  return kind === "tool_removal" && !offered.has(name)
    ? invalid(
        `${at}: tool '${name}' is not available at this point in the conversation`,
        "tool_reference_unresolved",
      )
    : undefined;
}

function apply(
  block: JsonObject,
  known: Map<string, JsonObject>,
  offered: Map<string, JsonObject>,
): void {
  const name = nameOf(block);
  if (block.type === "tool_removal") {
    offered.delete(name);
    return;
  }
  const tool = isObject(block.tool) ? block.tool : {};
  const definition = isObject(tool.definition) ? tool.definition : known.get(name);
  if (!definition) return;
  known.set(name, definition);
  offered.set(name, definition);
}

function nameOf(block: JsonObject): string {
  const tool = isObject(block.tool) ? block.tool : {};
  return isObject(tool.definition) ? stringAt(tool.definition, "name") : stringAt(tool, "name");
}

function withoutMark(block: JsonObject): JsonObject {
  const { cache_control: _, ...rest } = block;
  return rest;
}
