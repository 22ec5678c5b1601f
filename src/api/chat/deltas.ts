/**
 * The text of a turn as `delta` frames. An attempt at a message may be lost in its middle, after a part
 * of it was sent, and its successor may write something else; what was sent cannot be taken back. So of
 * another attempt something is sent only if its text begins with what was sent, and then only the rest.
 */
import type { Preview } from "../../shared/events.ts";
import type { Row } from "../../shared/rows.ts";
import { CONTINUED } from "../../shared/view.ts";

export interface Deltas {
  /** What of the row's text was not sent before; empty for most rows. */
  row(row: Row): string;
  /** The same of a preview. */
  preview(preview: Preview): string;
}

/** For one turn, from its first row on. */
export function openDeltas(): Deltas {
  /** Number of the message in its turn: another attempt has the same one. */
  let message = 0;
  /** The `call.started` row of the attempt. */
  let call = 0;
  /** What was sent of the message. */
  let sent = "";
  /** The attempt writes something else. */
  let strays = false;
  /** How much of the attempt has come, in previews and in rows. */
  let [previewed, written] = [0, 0];
  /** Something was sent of an earlier message; and whether this one goes on where that ended. */
  let [spoken, continues] = [false, false];

  /** Text that stands at `at` in the attempt. */
  const take = (text: string, at: number): string => {
    const known = text.slice(0, Math.max(0, sent.length - at));
    strays ||= !sent.startsWith(known, at);
    if (strays) return "";
    const rest = text.slice(known.length);
    const gap = rest !== "" && sent === "" && spoken && !continues ? "\n\n" : "";
    sent += rest;
    return gap + rest;
  };

  return {
    row(row) {
      if (row.type === "call.started" && row.body.purpose === "turn") {
        const { n } = row.body;
        spoken ||= n !== message && sent !== "";
        if (n !== message) sent = "";
        [message, call, strays, previewed, written] = [n, row.seq, false, 0, 0];
      }
      // Only whether the whole of a message was cut says how the next one joins it.
      if (row.type === "call.ended" && row.body.call === call && row.body.end === "ok") {
        continues = CONTINUED.has(row.body.stop_reason ?? "");
      }
      if (row.type !== "block.text" || row.body.call !== call) return "";
      const { text } = row.body.block;
      if (typeof text !== "string") return "";
      const at = written;
      written += text.length;
      return take(text, at);
    },
    preview({ kind, call: from, text }) {
      if (kind !== "text" || from !== call) return "";
      const at = previewed;
      previewed += text.length;
      return take(text, at);
    },
  };
}
