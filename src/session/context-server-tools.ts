/**
 * What tools of the API did, as texts. An API that does not have them, such as that of a gateway, may not
 * know the blocks either, and would refuse every request that holds one.
 */
import type { Json, ModelBlock } from "../shared/content.ts";
import { said } from "./context-blocks.ts";

const RESULT = "_tool_result";

/** A block of the model's without anything that only an API with such tools takes. */
export function withoutServerTools(block: ModelBlock): ModelBlock {
  const { type } = block;
  if (type === "server_tool_use") {
    return said(`[Called ${String(block.name)}: ${readable(block.input)}]`);
  }
  if (type.endsWith(RESULT)) {
    return said(`[${type.slice(0, -RESULT.length)} gave: ${readable(block.content)}]`);
  }
  if (type === "container_upload") {
    return said(`[Made a file in a container that is gone: ${String(block.file_id)}]`);
  }
  return type === "text" ? withoutSearches(block) : block;
}

/** What the model can make use of: no ciphers, and no bytes. */
const readable = (value: Json | undefined): string =>
  JSON.stringify(value ?? null, (name, one: unknown) =>
    name.startsWith("encrypted_") || isBytes(one) ? undefined : one,
  );

const isBytes = (value: unknown): boolean =>
  typeof value === "object" && value !== null && "type" in value && value.type === "base64";

/** Citations of a search name its result by a cipher. */
function withoutSearches(block: ModelBlock): ModelBlock {
  const { citations, ...rest } = block;
  if (!Array.isArray(citations)) return block;
  const kept = citations.filter((one) => !hasCipher(one));
  return { ...rest, type: block.type, ...(kept.length > 0 ? { citations: kept } : {}) };
}

const hasCipher = (citation: Json): boolean =>
  typeof citation === "object" && citation !== null && "encrypted_index" in citation;
