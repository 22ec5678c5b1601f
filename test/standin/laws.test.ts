import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { cut } from "../../src/standin/answer.ts";
import { digest, mix } from "../../src/standin/hash.ts";
import { limitBlocks } from "../../src/standin/limit-output.ts";
import type { ReplyBlock } from "../../src/standin/replies.ts";
import { text, thinking } from "../../src/standin/replies.ts";
import { outputTokens } from "../../src/standin/tokens.ts";

const string = fc.string({ unit: "binary", maxLength: 60 });
const block = fc.oneof(
  string.map((value) => text(value)),
  string.map((value) => thinking(value)),
);

const textOf = (value: ReplyBlock) => ("text" in value ? value.text : "");

describe("hash", () => {
  it("counts the bytes of UTF-8", () => {
    fc.assert(
      fc.property(string, (value) => {
        expect(digest(value).bytes).toBe(new TextEncoder().encode(value).length);
      }),
    );
  });

  it("tells different texts and different orders apart", () => {
    fc.assert(
      fc.property(string, string, (a, b) => {
        fc.pre(a !== b);
        const [one, two] = [digest(a).hash, digest(b).hash];
        expect(one).not.toBe(two);
        expect(mix(one, two)).not.toBe(mix(two, one));
      }),
    );
  });
});

describe("cut", () => {
  it("loses nothing and breaks no surrogate pair", () => {
    fc.assert(
      fc.property(string, fc.integer({ min: 1, max: 20 }), (value, size) => {
        const pieces = cut(value, size);
        expect(pieces.join("")).toBe(value);
        expect(pieces.every((piece) => piece.isWellFormed())).toBe(true);
      }),
    );
  });
});

describe("max_tokens", () => {
  it("is never passed, and what is left is the start of the reply", () => {
    fc.assert(
      fc.property(fc.array(block, { maxLength: 5 }), fc.nat(80), (blocks, maxTokens) => {
        const limited = limitBlocks(blocks, { maxTokens, room: 1_000, stopSequences: [] });
        const kept = limited.blocks.map(textOf);
        const bytes = kept.reduce((sum, value) => sum + digest(value).bytes, 0);
        expect(outputTokens(bytes, kept.length)).toBeLessThanOrEqual(maxTokens);
        const whole = blocks.map(textOf).join("");
        expect(whole.startsWith(kept.join(""))).toBe(true);
        const isWhole = limited.stopReason === undefined;
        expect(isWhole).toBe(kept.length === blocks.length && kept.join("") === whole);
      }),
    );
  });
});
