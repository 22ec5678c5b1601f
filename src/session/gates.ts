/** Who runs a tool call of the model, whether it may run, and what the model is told when not. */
import type { ReceivedBlock } from "../model/message.ts";
import type { GuardedRequest } from "../net/request.ts";
import { isJsonObject, type ModelBlock } from "../shared/content.ts";
import type { ToolBlockBody } from "../shared/rows.ts";
import { fileRules, type Gate, gateOf, hiddenFrom, isHostDenied } from "../tools/permissions.ts";
import { builtinTool } from "../tools/registry.ts";
import type { ToolContext } from "../tools/tool.ts";
import { ROOT } from "../workspace/paths.ts";
import type { OpenTurn, State } from "./state.ts";

/** Decided when the call arrives, and kept in its row. */
export function runnerOf(
  state: State,
  turn: OpenTurn,
  received: ReceivedBlock,
): Pick<ToolBlockBody, "runner" | "gate" | "reason" | "rule"> {
  const { toolset } = turn.options;
  const unreadable = received.raw_input !== undefined;
  if (unreadable || !isOffered(turn, String(received.block.name))) {
    return { runner: "server", gate: "deny" };
  }
  if (!toolset.builtin) return { runner: "client", gate: "allow" };
  const decided = permitted(state, turn, received);
  if (decided.gate === "ask") return { runner: "server", ...decided };
  return { runner: "server", gate: decided.gate };
}

/** Why the call of a tool that nobody runs was not run. */
export function denialOf(
  state: State,
  turn: OpenTurn,
  name: string,
  received: ReceivedBlock | null,
): string {
  if (received?.raw_input !== undefined) return "Not run: the input is not valid JSON.";
  const { toolset, tool_choice } = turn.options;
  const offered = Object.keys(toolset.tools);
  if (tool_choice.type === "none" || offered.length === 0) {
    return `Not run: no tool is offered in this turn, and ${name} neither.`;
  }
  const gate = received && isOffered(turn, name) ? permitted(state, turn, received) : null;
  if (gate?.gate === "deny") return gate.reason;
  return `Not run: there is no tool ${name} in this turn. Offered: ${offered.join(", ")}.`;
}

function isOffered({ options }: OpenTurn, name: string): boolean {
  return options.tool_choice.type !== "none" && Object.hasOwn(options.toolset.tools, name);
}

/** Why a call may not run that was allowed when it came: the folder or the rules are others now. */
export function newDenialOf(state: State, turn: OpenTurn, block: ModelBlock): string | null {
  const gate = permitted(state, turn, { block });
  if (gate.gate === "allow") return null;
  return gate.gate === "deny"
    ? gate.reason
    : "Not run: the current folder or the permissions have changed since. Call it again.";
}

/** What denials keep from a tool wherever it looks: files, and hosts that it may ask. */
export function keptFrom(
  state: State,
  turn: OpenTurn,
  tool: string,
): Pick<ToolContext, "hidden" | "rules"> & Pick<GuardedRequest, "refuses"> {
  const permissions = turn.options.permissions ?? state.permissions;
  if (!permissions || permissions.deny.length === 0) return {};
  const rules = fileRules(permissions);
  return {
    hidden: hiddenFrom(permissions, tool),
    refuses: (hostname) => isHostDenied(permissions, hostname),
    ...(rules ? { rules } : {}),
  };
}

/** What the turn's permissions, or else the session's, say of a call of a built-in tool. */
function permitted(state: State, turn: OpenTurn, { block }: Pick<ReceivedBlock, "block">): Gate {
  const permissions = turn.options.permissions ?? state.permissions;
  const tool = builtinTool(String(block.name));
  if (!tool) return { gate: "deny", reason: "This server does not have this tool any more." };
  if (!permissions) return { gate: "allow" };
  const input = isJsonObject(block.input) ? block.input : {};
  const cwd = state.shell?.cwd ?? ROOT;
  // What was allowed for always holds for every turn.
  const allow = [...permissions.allow, ...(state.permissions?.allow ?? [])];
  const { access, definition } = tool;
  return gateOf({ ...permissions, allow }, { name: definition.name, access, input, cwd });
}
