/** A following for a client that has seen a part of it before. */
import type { Cursor } from "../shared/cursor.ts";
import { endsPreview, type Followed, unseenPart } from "./follow.ts";
import type { FollowStream } from "./pump.ts";

/**
 * What lies behind `seen`. The rows before it are read all the same: they say where what is
 * followed ends, which may be before the cursor.
 */
export async function* resumed(followed: FollowStream, seen: Cursor): FollowStream {
  /** Units seen of the message that is being written. */
  let offset = seen.kind === "preview" ? seen.offset : 0;
  try {
    for (;;) {
      const step = await followed.next();
      if (step.done) return step.value;
      const item = step.value;
      if (item.kind === "row" && item.row.seq <= seen.seq) continue;
      if (item.kind === "row" && endsPreview(item.row)) offset = 0;
      const rest = behind(item, offset);
      if (rest) yield rest;
    }
  } finally {
    await followed.return(null);
  }
}

function behind(item: Followed, offset: number): Followed | null {
  if (item.kind !== "preview") return item;
  const preview = unseenPart(item.preview, offset);
  return preview && { ...item, preview };
}
