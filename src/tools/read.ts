import * as v from "valibot";
import { ROOT } from "../workspace/paths.ts";
import { mediaBlock, mediaTypeOf, mostBytes } from "./media-type.ts";
import { readNotebook } from "./notebook.ts";
import {
  answering,
  linesOf,
  numbered,
  pathOf,
  sha256,
  shortLine,
  ToolRefusal,
  textOf,
} from "./text-file.ts";
import { defineTool, type ToolContext, type ToolResult, textResult } from "./tool.ts";

const DEFAULT_LINES = 2_000;
const MAX_LINE = 2_000;
/** Characters of one result; what is longer is asked for in parts. */
const MAX_CHARACTERS = 100_000;
/** Names under which a file is shown as an image or document, if it is one. */
const MEDIA = /\.(png|jpe?g|gif|webp|pdf)$/i;

export const read = defineTool({
  definition: {
    name: "Read",
    description:
      "Reads a file with line numbers (line number, arrow, text), by default its first 2000 lines. Shows images, PDFs and Jupyter notebooks too.",
    input_schema: {
      type: "object",
      properties: {
        file_path: { type: "string" },
        offset: { type: "integer", description: "first line" },
        limit: { type: "integer", description: "number of lines" },
      },
      required: ["file_path"],
    },
  },
  kind: "atomic",
  access: "read",
  input: v.object({
    file_path: v.string(),
    offset: v.nullish(v.pipe(v.number(), v.integer(), v.minValue(0))),
    limit: v.nullish(v.pipe(v.number(), v.integer(), v.minValue(1))),
  }),
  run: ({ file_path, offset, limit }, context) =>
    answering(() => {
      const path = pathOf(context, file_path);
      const entry = context.workspace.stat(path);
      if (!entry) throw new ToolRefusal(missing(context, path));
      if (entry.type === "directory") {
        throw new ToolRefusal(`${path} is a directory. Use LS to see what is in it.`);
      }
      const bytes = context.workspace.read(path);
      const seen = { [path]: sha256(bytes) };
      const media = mediaResult(context, path, bytes);
      if (media) return { ...media, seen };
      const text = textOf(bytes);
      if (text === null) {
        throw new ToolRefusal(
          `${path} is a binary file of ${bytes.length} bytes, not text in UTF-8. Look at it with Bash.`,
        );
      }
      if (path.endsWith(".ipynb")) return { ...readNotebook(path, text, null), seen };
      return { ...textResult(shown(text, offset ?? 1, limit ?? DEFAULT_LINES)), seen };
    }),
});

/** Says what stands near a path that does not exist. */
function missing(context: ToolContext, path: string): string {
  const folder = path.slice(0, path.lastIndexOf("/"));
  const name = path.slice(path.lastIndexOf("/") + 1);
  const [stem = ""] = name.toLowerCase().split(".");
  const beside = context.workspace.stat(folder)?.type === "directory";
  const near = beside
    ? context.workspace
        .list(folder)
        .find(
          (one) =>
            stem !== "" &&
            one.name.toLowerCase().split(".")[0] === stem &&
            !context.hidden?.(one.path),
        )
    : undefined;
  const note = context.cwd === ROOT ? "" : ` Your current folder is ${context.cwd}.`;
  return `File does not exist.${note}${near ? ` Did you mean ${near.name}?` : ""}`;
}

function mediaResult(
  context: ToolContext,
  path: string,
  bytes: Uint8Array<ArrayBuffer>,
): ToolResult | null {
  const type = MEDIA.test(path) ? mediaTypeOf(bytes) : null;
  if (type === null) return null;
  const most = mostBytes(type);
  if (bytes.length > most) {
    throw new ToolRefusal(`${path} has ${bytes.length} bytes and can be shown up to ${most}.`);
  }
  return mediaBlock(context, bytes, type);
}

const EMPTY =
  "<system-reminder>Warning: the file exists but the contents are empty.</system-reminder>";

function shown(text: string, offset: number, limit: number): string {
  if (text === "") return EMPTY;
  const lines = linesOf(text);
  const first = Math.max(1, offset);
  if (first > lines.length) {
    return `<system-reminder>Warning: the file exists but is shorter than the provided offset (${first}). The file has ${lines.length} lines.</system-reminder>`;
  }
  const taken: string[] = [];
  let size = 0;
  for (const line of lines.slice(first - 1, first - 1 + limit)) {
    const short = shortLine(line, MAX_LINE);
    if (taken.length > 0 && size + short.length > MAX_CHARACTERS) break;
    taken.push(short);
    size += short.length;
  }
  const last = first + taken.length - 1;
  const rest =
    last < lines.length
      ? `\n\n(Lines ${first} to ${last} of ${lines.length}. Go on with offset ${last + 1}.)`
      : "";
  return numbered(taken, first) + rest;
}
