/**
 * Tools that the API runs itself while it answers. The session never sees their calls before they
 * have run, so a permission can only decide whether they are offered, and that once: when the
 * session is created.
 *
 * The versions are those that every current model takes.
 */
import type { Permissions, ServerTool, ServerToolName, ToolDefinition } from "../shared/tools.ts";
import { ROOT } from "../workspace/paths.ts";
import { gateOf } from "./permissions.ts";
import type { ToolAccess } from "./tool.ts";

/** Searches in one model call; each costs a fee, and a turn makes many calls. */
const SEARCHES_PER_CALL = 5;

interface Offer {
  definition: ServerTool;
  /** The name that permission rules have for it. */
  rule: string;
  access: ToolAccess;
}

const OFFERS: Readonly<Record<ServerToolName, Offer>> = {
  web_search: {
    definition: { type: "web_search_20250305", name: "web_search", max_uses: SEARCHES_PER_CALL },
    rule: "WebSearch",
    access: "network",
  },
  // It runs in a container of the API, which reaches neither the workspace nor the network.
  code_execution: {
    definition: { type: "code_execution_20250825", name: "code_execution" },
    rule: "CodeExecution",
    access: "none",
  },
};

/** Those of the configured tools that the permissions allow without a question. */
export function offeredServerTools(
  configured: readonly ServerToolName[],
  permissions: Permissions,
): ServerTool[] {
  return configured
    .map((name) => OFFERS[name])
    .filter(({ rule, access }) => {
      const asked = { name: rule, access, input: {}, cwd: ROOT };
      return gateOf(permissions, asked).gate === "allow";
    })
    .map(({ definition }) => definition);
}

/** Whether the API runs the tool; all others have a schema of their own. */
export const isServerTool = (tool: ToolDefinition | ServerTool): tool is ServerTool =>
  "type" in tool;
