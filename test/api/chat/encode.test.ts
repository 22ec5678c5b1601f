/** What a stream of the Claude CLI server says when it cannot go on. */
import { expect, test } from "vitest";
import { chatInline } from "../../../src/api/chat/encode.ts";
import type { FollowEnd } from "../../../src/http/follow.ts";
import { type FollowStream, pump } from "../../../src/http/pump.ts";
import { openSse } from "../../../src/http/sse.ts";
import { atRow } from "../../../src/shared/cursor.ts";

/** A following that ends at once. */
// biome-ignore lint/correctness/useYield: nothing comes.
async function* ends(end: FollowEnd): FollowStream {
  return end;
}

test.each<[FollowEnd, string, RegExp]>([
  [{ kind: "unreachable" }, "unavailable", /^The session could not be reached\. The turn goes on/],
  [{ kind: "not_found" }, "session_deleted", /^The session was deleted\.$/],
  [{ kind: "key_ended", end: "key_revoked" }, "key_revoked", /^This key was revoked\.$/],
])("%j: one error frame in its form, without an id", async (end, code, says) => {
  const encoder = chatInline("sess_x", "m");
  const sse = openSse({ signal: new AbortController().signal, dialect: encoder.dialect });
  const text = sse.response.text();
  await pump(sse, ends(end), encoder, atRow(0));
  const body = await text;
  expect(body).toMatch(/^data: \{.*\}\n\n$/);
  expect(JSON.parse(body.slice(6))).toEqual({
    type: "error",
    error: expect.stringMatching(says),
    code,
    session_id: "sess_x",
  });
});
