import { expect, test } from "vitest";
import { sha256Hex } from "../../src/http/canonical.ts";
import {
  MAX_INLINE_BASE64,
  type MediaOptions,
  takeMedia,
  type WireBlock,
  type WireDocument,
} from "../../src/http/media.ts";
import { ProblemError } from "../../src/http/problems.ts";
import { PIECE_UNITS, TextBuilder } from "../../src/shared/long-text.ts";

const OPTIONS: MediaOptions = { field: "body -> input", allow: [] };

/** Bytes that differ by `seed`. */
const bytesOf = (length: number, seed = 1): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (i * 31 + seed) % 256);

const image = (bytes: Uint8Array, media_type = "image/png"): WireBlock => ({
  type: "image",
  source: { type: "base64", media_type, data: bytes.toBase64() },
});

const pdf = (bytes: Uint8Array, media_type = "application/pdf"): WireDocument => ({
  type: "document",
  source: { type: "base64", media_type, data: bytes.toBase64() },
});

const byUrl = (type: "image" | "document", url: string): WireBlock => ({
  type,
  source: { type: "url", url },
});

async function refusal(blocks: WireBlock[], options: Partial<MediaOptions> = {}) {
  const error: unknown = await takeMedia(blocks, { ...OPTIONS, ...options }).then(
    () => null,
    (reason: unknown) => reason,
  );
  if (!(error instanceof ProblemError)) throw new Error(`not refused: ${String(error)}`);
  return error.problem.errors?.[0];
}

const serve =
  (answers: Record<string, () => Response>): NonNullable<MediaOptions["fetch"]> =>
  async (url) =>
    answers[url.href]?.() ?? new Response("no", { status: 404 });

test("text, files and text documents pass as they are", async () => {
  const blocks: WireBlock[] = [
    { type: "text", text: "hello" },
    { type: "image", source: { type: "file", file_id: "file_1" } },
    {
      type: "document",
      title: "T",
      context: "C",
      citations: { enabled: true },
      source: { type: "text", media_type: "text/plain", data: "x".repeat(100_000) },
    },
  ];
  const before = structuredClone(blocks);
  expect(await takeMedia(blocks, OPTIONS)).toEqual({ content: before, media: [] });
});

test.each(["image/png", "image/jpeg", "image/gif", "image/webp"])(
  "a small %s stays in its block",
  async (type) => {
    const data = bytesOf(99).toBase64();
    expect(await takeMedia([image(bytesOf(99), type)], OPTIONS)).toEqual({
      content: [{ type: "image", source: { type: "base64", media_type: type, data } }],
      media: [],
    });
  },
);

test("base64 of up to 8 KB stays inline, one byte more becomes media", async () => {
  const most = (MAX_INLINE_BASE64 / 4) * 3;
  expect(MAX_INLINE_BASE64).toBe(8192);
  const inline = await takeMedia([image(bytesOf(most))], OPTIONS);
  expect(inline.media).toEqual([]);
  const bytes = bytesOf(most + 1);
  const stored = await takeMedia([image(bytes)], OPTIONS);
  const sha256 = await sha256Hex(bytes);
  expect(stored).toEqual({
    content: [
      {
        type: "image",
        source: { type: "media", media_type: "image/png", bytes: most + 1, sha256 },
      },
    ],
    media: [{ sha256, media_type: "image/png", bytes }],
  });
});

test("a document keeps its title, context and citations beside its media", async () => {
  const block: WireBlock = { ...pdf(bytesOf(9000)), title: "T", citations: { enabled: true } };
  const { content, media } = await takeMedia([block], OPTIONS);
  expect(content).toEqual([
    {
      type: "document",
      title: "T",
      citations: { enabled: true },
      source: {
        type: "media",
        media_type: "application/pdf",
        bytes: 9000,
        sha256: media[0]?.sha256,
      },
    },
  ]);
});

test("the same bytes twice are stored once, others for themselves", async () => {
  const { content, media } = await takeMedia(
    [image(bytesOf(9000)), image(bytesOf(9000, 2)), image(bytesOf(9000))],
    OPTIONS,
  );
  expect(content).toHaveLength(3);
  expect(content[0]).toEqual(content[2]);
  expect(media.map((one) => one.bytes)).toEqual([bytesOf(9000), bytesOf(9000, 2)]);
});

test("base64 is dropped from the request as it is decoded", async () => {
  const blocks = [image(bytesOf(9000)), image(bytesOf(99))];
  await takeMedia(blocks, OPTIONS);
  for (const block of blocks) {
    expect(block.type === "image" && block.source.type === "base64" && block.source.data).toBe("");
  }
});

test("white space in base64 is no part of it", async () => {
  const data = "aGVs\r\nbG8=\n";
  const { content } = await takeMedia(
    [{ type: "image", source: { type: "base64", media_type: "image/png", data } }],
    OPTIONS,
  );
  expect(content).toEqual([
    { type: "image", source: { type: "base64", media_type: "image/png", data: "aGVsbG8=" } },
  ]);
});

test.each([
  "data:image/png;base64,aGVsbG8=",
  "aGVsbG8",
  "aGVsbG8==",
  "aGVsbG9=",
  "aGVs-_8=",
  "aG=VsbG8",
  "äöü=",
])("%j is not base64", async (data) => {
  const block: WireBlock = {
    type: "image",
    source: { type: "base64", media_type: "image/png", data },
  };
  expect(await refusal([{ type: "text", text: "x" }, block])).toEqual({
    field: "body -> input -> 1 -> source -> data",
    type: "base64_invalid",
    message: "The data must be base64 with padding, and without a data: prefix",
  });
});

test("padding ends a long base64 text as it ends a short one", async () => {
  const padded = `${"A".repeat(PIECE_UNITS - 1)}=`;
  const of = (data: string): WireBlock[] => {
    const builder = new TextBuilder(true);
    builder.add(data);
    // A long text stands for a string.
    const source = { type: "base64" as const, media_type: "application/pdf" };
    return [{ type: "document", source: { ...source, data: builder.finish() as string } }];
  };
  expect((await takeMedia(of(padded), OPTIONS)).media[0]?.bytes.length).toBe(
    PIECE_UNITS * 0.75 - 1,
  );
  expect((await takeMedia(of(`${padded} \n`), OPTIONS)).media).toHaveLength(1);
  for (const data of [`${padded}AAAA`, `${padded}=`, `${padded.slice(1)}`, `A${padded}`]) {
    expect(await refusal(of(data))).toMatchObject({ type: "base64_invalid" });
  }
});

test.each<[string, WireBlock]>([
  ["image/svg+xml", image(bytesOf(9), "image/svg+xml")],
  ["a PDF as an image", image(bytesOf(9), "application/pdf")],
  ["an image as a document", pdf(bytesOf(9), "image/png")],
  ["text as base64", pdf(bytesOf(9), "text/plain")],
  ["upper case", image(bytesOf(9), "IMAGE/PNG")],
])("a wrong media type is refused: %s", async (_, block) => {
  expect(await refusal([block])).toMatchObject({
    field: "body -> input -> 0 -> source -> media_type",
    type: "media_type",
  });
});

test("empty data is refused", async () => {
  expect(await refusal([image(new Uint8Array())])).toMatchObject({ type: "media_empty" });
});

test("an image may have 10 MiB of base64, which is what the API counts, and no more", async () => {
  const limit = 10 * 1024 * 1024;
  const make = (length: number): WireBlock => ({
    type: "image",
    source: { type: "base64", media_type: "image/png", data: "A".repeat(length) },
  });
  const { content } = await takeMedia([make(limit)], OPTIONS);
  expect(content[0]).toMatchObject({ source: { type: "media", bytes: (limit / 4) * 3 } });
  expect(await refusal([make(limit + 4)])).toMatchObject({
    field: "body -> input -> 0 -> source -> data",
    type: "media_too_large",
  });
});

test("the media of a request together are limited", async () => {
  const part = (seed: number) => pdf(bytesOf(7_000_000, seed));
  expect(await refusal([part(1), part(2), part(3)])).toMatchObject({
    field: "body -> input -> 2 -> source -> data",
    type: "media_limit",
  });
});

test("an image by URL is fetched when it is accepted, and stored like any other", async () => {
  const bytes = bytesOf(9000);
  const fetch = serve({
    "https://example.com/a": () =>
      new Response(bytes, { headers: { "content-type": "image/webp" } }),
  });
  const { content, media } = await takeMedia([byUrl("image", "https://example.com/a")], {
    ...OPTIONS,
    fetch,
  });
  const sha256 = await sha256Hex(bytes);
  expect(content).toEqual([
    { type: "image", source: { type: "media", media_type: "image/webp", bytes: 9000, sha256 } },
  ]);
  expect(media).toEqual([{ sha256, media_type: "image/webp", bytes }]);
});

test("a document by URL may be a PDF or plain text", async () => {
  const typed = (type: string, body: BodyInit) => () =>
    new Response(body, { headers: { "content-type": type } });
  const fetch = serve({
    "https://example.com/pdf": typed("application/pdf", bytesOf(9)),
    "https://example.com/txt": typed("text/plain; charset=utf-8", "grüße"),
    "https://example.com/latin": typed("text/plain", new Uint8Array([0x67, 0xfc])),
    "https://example.com/png": typed("image/png", bytesOf(9)),
  });
  const { content } = await takeMedia(
    [byUrl("document", "https://example.com/pdf"), byUrl("document", "https://example.com/txt")],
    { ...OPTIONS, fetch },
  );
  expect(content).toEqual([
    {
      type: "document",
      source: { type: "base64", media_type: "application/pdf", data: bytesOf(9).toBase64() },
    },
    { type: "document", source: { type: "text", media_type: "text/plain", data: "grüße" } },
  ]);
  const latin = await refusal([byUrl("document", "https://example.com/latin")], { fetch });
  expect(latin).toMatchObject({ type: "string_unicode" });
  const png = await refusal([byUrl("document", "https://example.com/png")], { fetch });
  expect(png).toMatchObject({ type: "fetch_media_type" });
});

test.each([
  ["http://169.254.169.254/latest", "url_host"],
  ["file:///etc/passwd", "url_scheme"],
  ["https://example.com/missing", "fetch_status"],
])("the URL %s is refused as %s at its field", async (url, type) => {
  expect(await refusal([byUrl("image", url)], { fetch: serve({}) })).toEqual({
    field: "body -> input -> 0 -> source -> url",
    type,
    message: expect.any(String),
  });
});

test("all URLs of a request share one time limit", async () => {
  let now = 0;
  const limits: number[] = [];
  const clock = {
    now: () => now,
    after(ms: number) {
      limits.push(ms);
      return () => {};
    },
  };
  const fetch = async () => {
    now += 12_000;
    return new Response(bytesOf(9), { headers: { "content-type": "image/png" } });
  };
  const blocks = [1, 2, 3].map((n) => byUrl("image", `https://example.com/${n}`));
  await takeMedia(blocks, { ...OPTIONS, fetch, clock });
  expect(limits).toEqual([30_000, 18_000, 6_000]);
});

test("a URL's image is limited to what is left for the request", async () => {
  const fetch = serve({
    "https://example.com/a": () =>
      new Response(new Uint8Array(7_000_000), { headers: { "content-type": "image/png" } }),
  });
  const url = byUrl("image", "https://example.com/a");
  expect((await takeMedia([url, url], { ...OPTIONS, fetch })).media).toHaveLength(1);
  expect(await refusal([url, url, url], { fetch })).toMatchObject({
    field: "body -> input -> 2 -> source -> url",
    type: "fetch_too_large",
  });
});
