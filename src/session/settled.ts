/** Finds what became of a tool call that is not open. */
import { toolCallPlace } from "../shared/rows.ts";
import type { SettledCall } from "./admit.ts";
import type { Log } from "./log.ts";

/** The result of a tool call by its public id, or null when the session made no such call. */
export function settledCall(log: Log, tool: string): SettledCall | null {
  const place = toolCallPlace(tool);
  if (!place || !log.rowOf("call.started", place.call)) return null;
  for (const row of log.typed(["tool.ended"], place.call)) {
    if (row.type !== "tool.ended" || row.body.tool !== tool) continue;
    const { by, turn, submission } = row.body;
    return { by, turn, submission: submission ?? null };
  }
  return null;
}
