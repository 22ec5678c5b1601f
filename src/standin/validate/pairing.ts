import type { JsonObject, Problem } from "../wire.ts";
import { invalid, isThinking, stringAt } from "../wire.ts";
import type { Turn } from "./messages.ts";

/**
 * Every `tool_use` has exactly one `tool_result`, first in the next user message; every server tool
 * call has its result in the same assistant message, unless the turn is still open.
 */
export function checkPairing(turns: readonly Turn[]): Problem | undefined {
  const seen = new Set<string>();
  for (const [i, turn] of turns.entries()) {
    if (turn.role === "assistant") {
      const next = turns[i + 1];
      const problem =
        checkUniqueIds(turn, seen) ??
        checkAnswered(turn, next, i === turns.length - 1) ??
        checkServerTools(turns, i) ??
        checkLastBlock(turn, i === turns.length - 1);
      if (problem) return problem;
    } else if (turn.role === "user") {
      const problem = checkResults(turn, turns[i - 1]);
      if (problem) return problem;
    }
  }
  return undefined;
}

/** Ids of the client's calls in an assistant message. */
function clientCalls(turn: Turn | undefined): string[] {
  if (turn?.role !== "assistant") return [];
  return turn.blocks
    .filter(({ block }) => block.type === "tool_use")
    .map(({ block }) => stringAt(block, "id"));
}

function checkUniqueIds(turn: Turn, seen: Set<string>): Problem | undefined {
  for (const { block, path } of turn.blocks) {
    if (block.type !== "tool_use" && block.type !== "server_tool_use") continue;
    const id = stringAt(block, "id");
    if (seen.has(id)) return invalid(`${path}: \`tool_use\` ids must be unique`);
    seen.add(id);
  }
  return undefined;
}

function checkAnswered(turn: Turn, next: Turn | undefined, isLast: boolean): Problem | undefined {
  const calls = clientCalls(turn);
  if (calls.length === 0 || isLast) return undefined;
  const results = new Set(
    next?.role === "user"
      ? next.blocks
          .filter(({ block }) => block.type === "tool_result")
          .map(({ block }) => stringAt(block, "tool_use_id"))
      : [],
  );
  const missing = calls.filter((id) => !results.has(id));
  return missing.length > 0
    ? invalid(
        `messages.${next?.index ?? turn.index}: \`tool_use\` ids were found without \`tool_result\` blocks immediately after: ${missing.join(", ")}. Each \`tool_use\` block must have a corresponding \`tool_result\` block in the next message.`,
      )
    : undefined;
}

function checkResults(turn: Turn, before: Turn | undefined): Problem | undefined {
  const calls = new Set(clientCalls(before));
  const answered = new Set<string>();
  let isPastResults = false;
  for (const { block, path } of turn.blocks) {
    if (block.type !== "tool_result") {
      isPastResults = true;
      continue;
    }
    const id = stringAt(block, "tool_use_id");
    if (!calls.has(id)) {
      return invalid(
        `${path}: unexpected \`tool_use_id\` found in \`tool_result\` blocks: ${id}. Each \`tool_result\` block must have a corresponding \`tool_use\` block in the previous message.`,
      );
    }
    if (answered.has(id)) {
      return invalid(
        `${path}: each tool_use must have a single result. Found multiple \`tool_result\` blocks with id: ${id}`,
      );
    }
    if (isPastResults) {
      return invalid(`${path}: \`tool_result\` blocks must come before other content in a message`);
    }
    answered.add(id);
  }
  return undefined;
}

/**
 * A server tool call may be left open in two places: in the last message, which the API goes on with
 * after `pause_turn`, and beside client calls, where the API runs it once their results are in.
 */
function checkServerTools(turns: readonly Turn[], i: number): Problem | undefined {
  const turn = turns[i];
  if (!turn) return undefined;
  const isOpen = i === turns.length - 1 || clientCalls(turn).length > 0;
  const later = isOpen ? nearestAnswer(turns, i, 1) : undefined;
  const results = serverResults(turn);
  const lateResults = later ? serverResults(later) : new Set<string>();
  const calls = new Set<string>();
  for (const { block, path } of turn.blocks) {
    if (block.type !== "server_tool_use" && block.type !== "mcp_tool_use") continue;
    const id = stringAt(block, "id");
    calls.add(id);
    const isAnswered = results.has(id) || lateResults.has(id) || (isOpen && later === undefined);
    if (!isAnswered) {
      const name = stringAt(block, "name");
      return invalid(
        `${path}: \`${name}\` tool use with id \`${id}\` was found without a corresponding \`${name}_tool_result\` block`,
      );
    }
  }
  const earlier = nearestAnswer(turns, i, -1);
  const carried = new Set(earlier ? serverCalls(earlier) : []);
  const stray = turn.blocks.find(({ block }) => {
    const id = serverResultId(block);
    return id !== undefined && !calls.has(id) && !carried.has(id);
  });
  return stray
    ? invalid(
        `${stray.path}: unexpected \`tool_use_id\` found in \`${stringAt(stray.block, "type")}\` blocks: ${stringAt(stray.block, "tool_use_id")}`,
      )
    : undefined;
}

/** The assistant message before or after `i`; at most a user and a system message lie between. */
function nearestAnswer(turns: readonly Turn[], i: number, step: 1 | -1): Turn | undefined {
  let at = i + step;
  while (turns[at] !== undefined && turns[at]?.role !== "assistant") at += step;
  return turns[at];
}

function serverCalls(turn: Turn): string[] {
  return turn.blocks
    .filter(({ block }) => block.type === "server_tool_use" || block.type === "mcp_tool_use")
    .map(({ block }) => stringAt(block, "id"));
}

function serverResults(turn: Turn): Set<string> {
  return new Set(
    turn.blocks.map(({ block }) => serverResultId(block)).filter((id) => id !== undefined),
  );
}

function serverResultId(block: JsonObject): string | undefined {
  const type = stringAt(block, "type");
  const isServerResult = type.endsWith("_tool_result") && type !== "tool_result";
  return isServerResult ? stringAt(block, "tool_use_id") : undefined;
}

function checkLastBlock(turn: Turn, isLast: boolean): Problem | undefined {
  const last = turn.blocks.at(-1);
  if (isLast || !last || !isThinking(last.block)) return undefined;
  return invalid(
    `messages.${turn.index}: The final block in an assistant message cannot be \`${stringAt(last.block, "type")}\`.`,
  );
}
