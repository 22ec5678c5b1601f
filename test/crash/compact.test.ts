/** Compactions: asked for by the client, and because a context has grown too large. */
import { expect } from "vitest";
import type { JsonObject } from "../../src/shared/content.ts";
import { compaction, reply, text, thinking, toolUse } from "../../src/standin/replies.ts";
import { functionTool } from "../api/cc/server.ts";
import type { Point } from "./faults.ts";
import { matrix } from "./matrix.ts";

/** Where a compaction differs from other calls: what is written, and what is asked of the model. */
const POINTS: readonly Point[] = ["commit", "committed", "request", "end", "answer", "alarm"];

/** Asked on demand, and not in words. */
const isCompaction = (body: unknown): boolean => (body as JsonObject).compaction !== undefined;

matrix(
  "a compaction while a call is open, and one at the end",
  { attached: 50, alone: 53 },
  () => ({
    points: POINTS,
    answer(asked, { body }) {
      if (isCompaction(body)) return compaction("They met.");
      if (asked === "Look") return [thinking("Where?"), toolUse("look", {}, { id: "toolu_01" })];
      return [thinking("Well."), text(`${asked} to you.`)];
    },
    async play(client) {
      const tools = [functionTool("look")];
      await client.turn("Hello", { tools });
      await client.turn("Look", { tools });
      const open = await client.call("POST", `${client.path}/compact`, {});
      expect(open).toMatchObject({ compacted: true, messages_before: 4, messages_after: 3 });
      await client.idle();
      await client.results({ look: "blue" });
      const last = await client.call("POST", `${client.path}/compact`, {});
      expect(last).toMatchObject({ compacted: true, messages_before: 5, messages_after: 1 });
      await client.idle();
    },
  }),
);

matrix("a context that has grown too large", { attached: 39, alone: 42 }, () => ({
  points: POINTS,
  answer(asked, { body }) {
    if (isCompaction(body)) return compaction("They met.");
    const usage = asked === "Hello" ? { usage: { input_tokens: 900_000 } } : {};
    return reply({ blocks: [thinking("Well."), text(`${asked} to you.`)], ...usage });
  },
  async play(client) {
    await client.turn("Hello");
    await client.turn("Good day");
    await client.turn("Good night");
  },
}));
