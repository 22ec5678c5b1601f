/** Content as clients write it: text, images and documents, in the forms of both APIs. */
import * as v from "valibot";
import type { WireBlock, WireDocument, WireImage } from "../../http/media.ts";
import type { Json } from "../../shared/content.ts";
import { jsonString } from "../../shared/json-text.ts";
import { piecesOf } from "../../shared/long-text.ts";
import { Characters, isText } from "../common/fields.ts";

const MAX_BLOCKS = 1000;

/** Members of a request that hold content: a long string in one is a `LongText`. */
export const CONTENT_MEMBERS: ReadonlySet<string> = new Set([
  "input",
  "content",
  "text",
  "data",
  "url",
  "image_url",
]);

const Base64 = v.object({
  type: v.literal("base64"),
  media_type: v.string(),
  data: Characters,
});

const Url = v.object({ type: v.literal("url"), url: Characters });

const File = v.object({
  type: v.literal("file"),
  file_id: v.pipe(v.string(), v.minLength(1), v.maxLength(256)),
});

const Text = v.object({
  type: v.literal("text"),
  media_type: v.optional(v.literal("text/plain"), "text/plain"),
  data: v.pipe(Characters, v.minLength(1)),
});

const ImageUrl = v.union([Characters, v.object({ url: Characters })]);

/** One block in a form that clients send. `image_url` is how OpenAI clients write an image. */
const Part = v.variant("type", [
  v.object({ type: v.literal("text"), text: Characters }),
  v.object({ type: v.literal("image"), source: v.variant("type", [Base64, Url, File]) }),
  v.object({
    type: v.literal("document"),
    source: v.variant("type", [Base64, Url, File, Text]),
    title: v.nullish(v.string()),
    context: v.nullish(v.string()),
    citations: v.nullish(v.object({ enabled: v.optional(v.boolean(), false) })),
  }),
  v.object({ type: v.literal("image_url"), image_url: ImageUrl }),
]);

const PART_TYPES = new Set<unknown>(["text", "image", "document", "image_url"]);

const isPart = (value: unknown): boolean =>
  typeof value === "object" && value !== null && "type" in value && PART_TYPES.has(value.type);

const Block = v.pipe(Part, v.transform(block));

/** A message: a text, or a list of blocks. */
export const MessageContent = v.union([
  v.pipe(Characters, v.transform(textBlocks)),
  v.pipe(v.array(Block), v.minLength(1), v.maxLength(MAX_BLOCKS)),
]);

/** What is no content becomes text, so that nothing is lost and the model can read it. */
const AnyText = v.pipe(
  v.custom<Json>(() => true),
  v.transform((value) => textBlock(isText(value) ? value : jsonString(value))),
);

const PartList = v.pipe(
  v.array(v.lazy((item: unknown) => (isPart(item) ? Block : AnyText))),
  v.maxLength(MAX_BLOCKS),
);

const NoContent = v.pipe(
  v.null(),
  v.transform((): WireBlock[] => []),
);

const OneText = v.pipe(
  AnyText,
  v.transform((one) => [one]),
);

/** A tool's result: clients pass on what their tool gave them, be it content or any other JSON. */
export const ResultContent = v.lazy((value: unknown) => {
  if (value === null) return NoContent;
  return Array.isArray(value) && value.some(isPart) ? PartList : OneText;
});

function textBlock(text: string): WireBlock {
  return { type: "text", text };
}

function textBlocks(text: string): WireBlock[] {
  return [textBlock(text)];
}

function block(part: v.InferOutput<typeof Part>): WireBlock {
  switch (part.type) {
    case "text":
    case "image":
      return part;
    case "document":
      return document(part);
    case "image_url": {
      const { image_url } = part;
      return imageAt(isText(image_url) ? image_url : image_url.url);
    }
  }
}

type DocumentPart = Extract<v.InferOutput<typeof Part>, { type: "document" }>;

function document({ type, source, title, context, citations }: DocumentPart): WireDocument {
  return {
    type,
    source,
    ...(title ? { title } : {}),
    ...(context ? { context } : {}),
    ...(citations ? { citations } : {}),
  };
}

function imageAt(url: string): WireImage {
  const [head = ""] = piecesOf(url);
  const [prefix = "", media_type] = /^data:([^;,]*);base64,/.exec(head) ?? [];
  const source =
    media_type === undefined
      ? { type: "url" as const, url }
      : { type: "base64" as const, media_type, data: url.slice(prefix.length) };
  return { type: "image", source };
}
