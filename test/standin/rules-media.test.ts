import { describe, expect, it } from "vitest";
import { text } from "../../src/standin/replies.ts";
import { createStandin } from "../../src/standin/standin.ts";
import type { Rule } from "./rule.ts";
import { describeRules, says, withBlock, withResult } from "./rule.ts";
import { baseRequest, image, pdf, post, result } from "./support.ts";

const RULES: readonly Rule[] = [
  {
    rule: "image that is no base64",
    base: withBlock(image()),
    broken: says(image("%%%%")),
    message: /invalid base64 data/,
  },
  {
    rule: "image of another kind than said",
    base: withBlock(image()),
    broken: says(image(undefined, "image/gif")),
    message: /specified using the image\/gif media type, but the image appears to be a image\/png/,
  },
  {
    rule: "image of unknown media type",
    base: withBlock(image()),
    broken: says(image(undefined, "image/bmp")),
    message: /media_type: Input should be/,
  },
  {
    rule: "image that is none",
    base: withBlock(image()),
    broken: says(image(btoa("not an image at all, just text"))),
    message: /Could not process image/,
  },
  {
    rule: "image cut short",
    base: withBlock(image()),
    broken: says(image("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ")),
    message: /Could not process image/,
  },
  {
    rule: "image without a side",
    base: withBlock(image()),
    broken: says(
      image(
        "iVBORw0KGgoAAAANSUhEUgAAAAAAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
      ),
    ),
    message: /Could not process image/,
  },
  {
    rule: "image above 8000 pixels",
    base: withBlock(image()),
    broken: says(
      image(
        "iVBORw0KGgoAAAANSUhEUgAAH0EAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
      ),
    ),
    message: /exceed max allowed size: 8000 pixels/,
  },
  {
    rule: "image above 5 MB",
    base: withBlock(image()),
    broken: says(
      image(`${"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ".padEnd(5 * 1024 * 1024, "A")}AAAA`),
    ),
    message: /image exceeds 5 MB maximum/,
  },
  {
    rule: "image source unknown",
    base: withBlock(image()),
    broken: says({ type: "image", source: { type: "disk" } }),
    message: /Input tag 'disk'/,
  },
  {
    rule: "image url without http",
    base: withBlock({ type: "image", source: { type: "url", url: "https://example.com/a.png" } }),
    broken: says({ type: "image", source: { type: "url", url: "file:///a.png" } }),
    message: /source.url.url: String should match pattern/,
  },
  {
    rule: "PDF that is none",
    base: withBlock(pdf()),
    broken: says(pdf(btoa("hello there, no PDF here"))),
    message: /The PDF specified was not valid/,
  },
  {
    rule: "PDF that is no base64",
    base: withBlock(pdf()),
    broken: says(pdf("a b")),
    message: /invalid base64 data/,
  },
  {
    rule: "corrupt image in a tool result",
    base: () =>
      withResult({ ...result("toolu_1"), content: [image()] }, result("toolu_2"))(baseRequest()),
    broken: withResult(
      { ...result("toolu_1"), content: [image(btoa("not an image, only text"))] },
      result("toolu_2"),
    ),
    message: /Could not process image/,
  },
];

describeRules("media", RULES);

const GIF = "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7";
const WEBP = "UklGRiIAAABXRUJQVlA4IBYAAAAwAQCdASoBAAEADsD+JaQAA3AAAAAA";

/** The markers of a JPEG of one pixel, behind `metadata` bytes of EXIF. */
function jpeg(metadata: number): string {
  const exif = [0xff, 0xe1, (metadata + 2) >> 8, (metadata + 2) & 0xff];
  const frame = [0xff, 0xc0, 0, 11, 8, 0, 1, 0, 1, 1, 1, 0x11, 0];
  const bytes = [0xff, 0xd8, ...exif, ...new Array<number>(metadata).fill(0), ...frame, 0xff, 0xd9];
  const padding = new Array<number>((3 - (bytes.length % 3)) % 3).fill(0);
  return btoa([...bytes, ...padding].map((byte) => String.fromCharCode(byte)).join(""));
}

describe("whole images", () => {
  it.each([
    ["image/gif", GIF],
    ["image/webp", WEBP],
    ["image/jpeg", jpeg(10)],
    ["image/jpeg", jpeg(60_000)],
  ])("of %s are accepted", async (mediaType, data) => {
    const standin = createStandin();
    standin.script(text("ok"));
    const answer = await post(standin, says(image(data, mediaType))(baseRequest()));
    expect(answer.message).toBe("");
  });

  it.each([
    ["image/gif", GIF.slice(0, 16)],
    ["image/webp", WEBP.slice(0, 44)],
    ["image/jpeg", jpeg(10).slice(0, 20)],
  ])("of %s that are cut are refused", async (mediaType, data) => {
    const standin = createStandin();
    standin.expectRefusal();
    const answer = await post(standin, says(image(data, mediaType))(baseRequest()));
    expect(answer.message).toBe("Could not process image");
  });
});
