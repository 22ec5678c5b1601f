/** Finds what became of a tool call that is not open. */
import { toolCallPlace } from "../shared/ids.ts";
import type { SettledCall } from "./admission.ts";
import type { Log } from "./log.ts";

/** The result of a tool call by its public id, or null when the session made no such call. */
export function settledCall(log: Log, tool: string): SettledCall | null {
  const place = toolCallPlace(tool);
  // Without this a wrong id would be looked for in all that follows.
  if (!place || !wasMade(log, place)) return null;
  for (const row of log.typed(["tool.ended"], place.call)) {
    if (row.type !== "tool.ended" || row.body.tool !== tool) continue;
    const { by, turn, submission } = row.body;
    return { by, turn, submission: submission ?? null };
  }
  return null;
}

/** The model made this tool call, and whole: one that was cut never gets a result. */
function wasMade(log: Log, { call, i }: { call: number; i: number }): boolean {
  if (log.timeOf("call.started", call) === null) return false;
  for (const row of log.typed(["block.tool", "call.ended"], call)) {
    if (row.type === "call.ended") return false;
    if (row.type === "block.tool" && row.body.i === i) return !row.body.partial;
  }
  return false;
}
