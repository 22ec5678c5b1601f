/** The CLAUDE.md of a workspace: noted in the log when it appears, changes or is taken back. */
import { createHash } from "node:crypto";
import { ROOT } from "../workspace/paths.ts";
import type { Workspace } from "../workspace/workspace.ts";
import type { Draft } from "./draft.ts";
import type { State } from "./state.ts";

export const INSTRUCTIONS_PATH = `${ROOT}/CLAUDE.md`;

/** Bytes of a file that is an instruction; a longer one is announced, and read like any file. */
const MAX_BYTES = 40_000;

/**
 * Adds a row when the file is not what the log knows. `owner`: this very file was written or removed
 * through the API, so its text is an instruction; whatever else wrote it, it is only announced. What
 * tools do to the file does not end what the owner has said.
 */
export function noteInstructions(draft: Draft, workspace: Workspace, by: "owner" | "files"): void {
  const exists = workspace.stat(INSTRUCTIONS_PATH)?.type === "file";
  const { instruction } = draft.state;
  const bytes = exists ? workspace.read(INSTRUCTIONS_PATH) : new Uint8Array(0);
  const none = bytes.byteLength === 0;
  // Nothing is taken back that nobody has said.
  if (none && (by === "files" || !instruction?.owner)) return;
  const sha = createHash("sha256").update(bytes).digest("hex");
  const isOwners = instruction?.owner?.seq === instruction?.seq;
  if (instruction?.sha === sha && (by === "files" || isOwners)) return;
  const said = by === "owner" && bytes.byteLength <= MAX_BYTES;
  const text = said ? new TextDecoder().decode(bytes) : null;
  draft.add({ type: "instruction", body: { path: INSTRUCTIONS_PATH, sha, text } });
}

/** Rows of the instructions that hold and that the context has before the row `start`, in order. */
export function instructionsBefore({ instruction }: State, start: number): number[] {
  if (!instruction) return [];
  const { owner, seq, at } = instruction;
  return [...(owner && owner.seq !== seq ? [owner] : []), { seq, at }]
    .filter((one) => one.at < start)
    .map((one) => one.seq);
}
