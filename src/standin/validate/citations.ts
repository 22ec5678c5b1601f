import type { JsonObject, Message, Problem } from "../wire.ts";
import { invalid, isObject, objectsAt } from "../wire.ts";

/** Documents cite all together or not at all, and never into structured output. */
export function checkCitations(
  body: JsonObject,
  messages: readonly Message[],
): Problem | undefined {
  const documents = messages.flatMap(({ content }) => content.flatMap(documentsIn));
  const citing = documents.filter(cites);
  if (citing.length === 0) return undefined;
  if (citing.length < documents.length) {
    return invalid("Citations must be enabled for all documents or for none of them.");
  }
  const format = isObject(body.output_config) ? body.output_config.format : undefined;
  return isObject(format)
    ? invalid("output_config.format: cannot be used together with citations.")
    : undefined;
}

/** Whether any document of the request asks for citations. */
export function asksForCitations(messages: readonly Message[]): boolean {
  return messages.some(({ content }) => content.flatMap(documentsIn).some(cites));
}

function documentsIn(block: JsonObject): JsonObject[] {
  if (block.type === "document") return [block];
  return block.type === "tool_result" ? objectsAt(block, "content").flatMap(documentsIn) : [];
}

function cites(document: JsonObject): boolean {
  return isObject(document.citations) && document.citations.enabled === true;
}
