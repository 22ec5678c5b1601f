import * as v from "valibot";
import { answering, pathOf, readKnown, writeText } from "./text-file.ts";
import { defineTool } from "./tool.ts";

export const write = defineTool({
  definition: {
    name: "Write",
    description:
      "Writes a file and replaces what was in it. Read an existing file first. Prefer Edit for changes.",
    input_schema: {
      type: "object",
      properties: { file_path: { type: "string" }, content: { type: "string" } },
      required: ["file_path", "content"],
    },
  },
  kind: "atomic",
  access: "edit",
  input: v.object({ file_path: v.string(), content: v.string() }),
  run: ({ file_path, content }, context) =>
    answering(() => {
      const path = pathOf(context, file_path);
      const exists = context.workspace.stat(path)?.type === "file";
      if (exists) readKnown(context, path);
      const seen = writeText(context, path, content);
      const said = exists
        ? `The file ${path} has been updated successfully.`
        : `File created successfully at: ${path}`;
      return { content: [{ type: "text", text: said }], is_error: false, seen };
    }),
});
