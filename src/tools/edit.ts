import * as v from "valibot";
import {
  answering,
  linesOf,
  numbered,
  pathOf,
  readKnown,
  shortLine,
  ToolRefusal,
  writeText,
} from "./text-file.ts";
import { defineTool, type ToolContext, type ToolResult } from "./tool.ts";

/** Lines that are shown before and behind a change. */
const CONTEXT_LINES = 4;
/** Lines of a snippet, and characters of one of them. */
const MAX_SNIPPET = 100;
const MAX_LINE = 500;

const Change = v.object({
  old_string: v.string(),
  new_string: v.string(),
  replace_all: v.nullish(v.boolean(), false),
});

type Change = v.InferOutput<typeof Change>;

const CHANGE_SCHEMA = {
  old_string: { type: "string" },
  new_string: { type: "string" },
  replace_all: { type: "boolean" },
};

export const edit = defineTool({
  definition: {
    name: "Edit",
    description:
      "Replaces an exact string in a file that was read before. old_string must occur once, unless replace_all is true; give it enough context. Line numbers of Read are not part of it. An empty old_string creates a file.",
    input_schema: {
      type: "object",
      properties: { file_path: { type: "string" }, ...CHANGE_SCHEMA },
      required: ["file_path", "old_string", "new_string"],
    },
  },
  kind: "atomic",
  access: "edit",
  input: v.object({ file_path: v.string(), ...Change.entries }),
  run: ({ file_path, ...change }, context) =>
    answering(() => {
      const path = pathOf(context, file_path);
      const { before, after } = changed(context, path, [change]);
      const seen = writeText(context, path, after);
      const text = `The file ${path} has been updated. Here's the result of running \`cat -n\` on a snippet of the edited file:\n${snippet(before, after)}`;
      return { content: [{ type: "text", text }], is_error: false, seen };
    }),
});

export const multiEdit = defineTool({
  definition: {
    name: "MultiEdit",
    description:
      "Makes several edits to one file, in order, each as Edit does. All of them are made, or none.",
    input_schema: {
      type: "object",
      properties: {
        file_path: { type: "string" },
        edits: {
          type: "array",
          items: {
            type: "object",
            properties: CHANGE_SCHEMA,
            required: ["old_string", "new_string"],
          },
        },
      },
      required: ["file_path", "edits"],
    },
  },
  kind: "atomic",
  access: "edit",
  input: v.object({
    file_path: v.string(),
    edits: v.pipe(v.array(Change), v.minLength(1), v.maxLength(500)),
  }),
  run: ({ file_path, edits }, context): ToolResult =>
    answering(() => {
      const path = pathOf(context, file_path);
      const { after } = changed(context, path, edits);
      const seen = writeText(context, path, after);
      const done = edits.map(
        ({ old_string, new_string }, i) =>
          `${i + 1}. Replaced "${old_string}" with "${new_string}"`,
      );
      const count = edits.length === 1 ? "1 edit" : `${edits.length} edits`;
      const text = `Applied ${count} to ${path}:\n${done.join("\n")}`;
      return { content: [{ type: "text", text }], is_error: false, seen };
    }),
});

/** The text of a file before and after its changes. @throws ToolRefusal */
function changed(
  context: ToolContext,
  path: string,
  changes: readonly Change[],
): { before: string; after: string } {
  const [first] = changes;
  const creates = first?.old_string === "" && !context.workspace.stat(path);
  const before = creates ? "" : readKnown(context, path).text;
  // Read shows lines without their ends, so the model writes plain line feeds.
  const windows = before.includes("\r\n") && !/(^|[^\r])\n/.test(before);
  let after = windows ? unix(before) : before;
  for (const [i, change] of changes.entries()) {
    const { old_string, new_string } = change;
    const meant = windows
      ? { ...change, old_string: unix(old_string), new_string: unix(new_string) }
      : change;
    after = creates && i === 0 ? new_string : applied(after, meant);
  }
  return { before, after: windows ? after.replaceAll("\n", "\r\n") : after };
}

const unix = (text: string): string => text.replaceAll("\r\n", "\n");

function applied(text: string, { old_string, new_string, replace_all }: Change): string {
  if (old_string === new_string) {
    throw new ToolRefusal("No changes to make: old_string and new_string are exactly the same.");
  }
  if (old_string === "" && text === "") return new_string;
  if (old_string === "") {
    throw new ToolRefusal("The file exists, so old_string must not be empty.");
  }
  const parts = text.split(old_string);
  const matches = parts.length - 1;
  if (matches === 0) {
    throw new ToolRefusal(`String to replace not found in file.\nString: ${old_string}`);
  }
  if (matches > 1 && !replace_all) {
    throw new ToolRefusal(
      `Found ${matches} matches of the string to replace, but replace_all is false. To replace all occurrences, set replace_all to true. To replace only one occurrence, please provide more context to uniquely identify the instance.\nString: ${old_string}`,
    );
  }
  return parts.join(new_string);
}

/** The changed lines of `after` with some around them. */
function snippet(before: string, after: string): string {
  const old = linesOf(before);
  const lines = linesOf(after);
  let head = 0;
  while (head < old.length && head < lines.length && old[head] === lines[head]) head += 1;
  let tail = 0;
  while (
    tail < old.length - head &&
    tail < lines.length - head &&
    old[old.length - 1 - tail] === lines[lines.length - 1 - tail]
  ) {
    tail += 1;
  }
  const from = Math.max(0, head - CONTEXT_LINES);
  const to = Math.min(lines.length, lines.length - tail + CONTEXT_LINES);
  const shown = lines
    .slice(from, Math.min(to, from + MAX_SNIPPET))
    .map((line) => shortLine(line, MAX_LINE));
  const left = to - from - shown.length;
  const note = left > 0 ? `\n(${left} more lines up to the last change.)` : "";
  return numbered(shown, from + 1) + note;
}
