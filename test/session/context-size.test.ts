/** The arithmetic of a context's size, and what images and documents say of themselves. */
import { expect, test } from "vitest";
import { estimate, measure } from "../../src/session/context-size.ts";
import { documentTokens, imageSize, imageTokens } from "../../src/session/context-size-media.ts";

const block = (characters: number, role: "user" | "assistant" = "user", media = 0) => ({
  role,
  characters,
  media,
});

test("without a call, text is counted by its characters", () => {
  const size = { system: 350, tools: 700, blocks: [block(35), block(0, "user", 100)] };
  expect(estimate(size, null)).toEqual({ system: 100, tools: 200, messages: 10, media: 100 });
});

test("the told tokens are shared out by characters, and what came since goes by the same rate", () => {
  const size = {
    system: 100,
    tools: 200,
    blocks: [block(700), block(90, "assistant"), block(1_000)],
  };
  // 1,000 characters were 500 tokens; the answer's own count stands for its characters.
  expect(estimate(size, { blocks: 1, tokens: 500, answer: 7 })).toEqual({
    system: 50,
    tools: 100,
    messages: 350 + 7 + 500,
    media: 0,
  });
  expect(estimate(size, { blocks: 1, tokens: 500, answer: null }).messages).toBe(350 + 45 + 500);
});

test("media that were told are a part of the told tokens, and never more than all of them", () => {
  const size = { system: 0, tools: 0, blocks: [block(800), block(0, "user", 300)] };
  const known = { blocks: 2, tokens: 500, answer: null };
  expect(estimate(size, known)).toEqual({ system: 0, tools: 0, messages: 200, media: 300 });
  expect(estimate({ ...size, blocks: [block(800), block(0, "user", 9_000)] }, known)).toEqual({
    system: 0,
    tools: 0,
    messages: 100,
    media: 400,
  });
});

test("signatures and the bytes of media are no text", () => {
  const image = { type: "image", source: { type: "base64", data: "A".repeat(4_000) } };
  const messages = [
    {
      role: "user" as const,
      content: [image, { type: "tool_result", tool_use_id: "t", content: [image] }],
    },
    {
      role: "assistant" as const,
      content: [{ type: "thinking", thinking: "hm", signature: "s".repeat(900) }],
    },
  ];
  const { blocks } = measure({ system: null, tools: [], messages }, () => 5);
  expect(blocks.map(({ media }) => media)).toEqual([5, 5, 0]);
  for (const { characters } of blocks) expect(characters).toBeLessThan(60);
});

const hex = (digits: string) => Uint8Array.fromHex(digits.replaceAll(" ", ""));

test.each([
  ["png", "89504e470d0a1a0a 0000000d 49484452 00000320 00000258 08060000", 800, 600],
  ["gif", "474946383961 2003 5802 f700", 800, 600],
  ["jpeg", "ffd8 ffe0 0010 4a46494600010100000100010000 ffc0 0011 08 0258 0320 03012200", 800, 600],
  ["webp", "52494646 24000000 57454250 56503820 18000000 300100 9d012a 2003 5802 0200", 800, 600],
  ["webp, lossless", "52494646 24000000 57454250 5650384c 18000000 2f 1fc39500 00000000", 800, 600],
  [
    "webp, extended",
    "52494646 24000000 57454250 56503858 0a000000 00000000 1f0300 570200",
    800,
    600,
  ],
])("the size of an image: %s", (_, digits, width, height) => {
  expect(imageSize(hex(digits))).toEqual({ width, height });
  expect(imageTokens(hex(digits))).toBe(640);
});

test("an image of unknown or great size takes what a large one takes", () => {
  expect(imageTokens(new Uint8Array())).toBe(1_600);
  expect(imageTokens(hex("89504e470d0a1a0a"))).toBe(1_600);
  const large = hex("89504e470d0a1a0a 0000000d 49484452 00002710 00002710 08060000");
  expect(imageTokens(large)).toBe(1_600);
  // A long strip is made smaller by its long side.
  const strip = hex("89504e470d0a1a0a 0000000d 49484452 00003d40 000003e8 08060000");
  expect(imageTokens(strip)).toBe(Math.ceil((1_568 * 100) / 750));
});

test("a document's pages are those that it tells, else they go by its bytes", () => {
  const pdf = (text: string) => new TextEncoder().encode(text);
  const tree = pdf("%PDF-1.7\n<< /Type /Pages /Count 12 >> << /Type /Pages /Count 5 >>");
  expect(documentTokens(9_000_000, [tree])).toBe(36_000);
  expect(documentTokens(100_000, [pdf("%PDF-1.7")])).toBe(6_000);
  expect(documentTokens(10, [])).toBe(3_000);
});
