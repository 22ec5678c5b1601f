/** Jupyter notebooks: read cell by cell, and edited by cell. */
import * as v from "valibot";
import {
  answering,
  pathOf,
  readKnown,
  readText,
  shortLine,
  ToolRefusal,
  writeText,
} from "./text-file.ts";
import { defineTool, type ToolResult, textResult } from "./tool.ts";

/** Characters of one cell's source, of its outputs, and of all cells of one result. */
const MAX_SOURCE = 50_000;
const MAX_OUTPUT = 10_000;
const MAX_CHARACTERS = 100_000;

const Text = v.union([v.string(), v.array(v.string())]);

const Cell = v.looseObject({
  id: v.optional(v.string()),
  cell_type: v.string(),
  source: v.optional(Text),
  outputs: v.optional(v.array(v.looseObject({ output_type: v.string() }))),
});

const Notebook = v.looseObject({
  cells: v.array(Cell),
  metadata: v.optional(v.looseObject({})),
  nbformat: v.optional(v.number()),
  nbformat_minor: v.optional(v.number()),
});

type Notebook = v.InferOutput<typeof Notebook>;
type Cell = v.InferOutput<typeof Cell>;

const joined = (text: v.InferOutput<typeof Text> = ""): string =>
  typeof text === "string" ? text : text.join("");

/** A cell's id; old notebooks have none, so its place stands for it. */
const idOf = (cell: Cell, at: number): string => cell.id ?? `cell-${at}`;

/**
 * The notebook as it stands in the file, its fields in their order.
 *
 * @throws ToolRefusal when the text is no notebook
 */
function parsed(path: string, text: string): Notebook {
  try {
    const notebook: unknown = JSON.parse(text);
    if (v.is(Notebook, notebook)) return notebook;
  } catch {
    // It is not even JSON.
  }
  throw new ToolRefusal(`${path} is not a valid Jupyter notebook.`);
}

/** All cells, or the one with this id. @throws ToolRefusal */
export function readNotebook(path: string, text: string, cell: string | null): ToolResult {
  const { cells } = parsed(path, text);
  const found = cells
    .map((one, at) => ({ one, id: idOf(one, at) }))
    .filter(({ id }) => cell === null || id === cell);
  if (cell !== null && found.length === 0) {
    throw new ToolRefusal(`Cell with ID "${cell}" not found in notebook.`);
  }
  if (found.length === 0) return textResult("The notebook has no cells.");
  const parts: string[] = [];
  let size = 0;
  for (const { one, id } of found) {
    const part = shownCell(one, id);
    if (parts.length > 0 && size + part.length > MAX_CHARACTERS) break;
    parts.push(part);
    size += part.length;
  }
  const next = found[parts.length];
  if (next) {
    parts.push(
      `(${found.length - parts.length} more cells from "${next.id}" on. Read them with NotebookRead and their cell_id.)`,
    );
  }
  return textResult(parts.join("\n"));
}

function shownCell(cell: Cell, id: string): string {
  const kind = cell.cell_type === "code" ? "" : `<cell_type>${cell.cell_type}</cell_type>`;
  const outputs = (cell.outputs ?? []).map(outputText).filter((text) => text !== "");
  const shown = outputs.join("\n");
  const printed = shown === "" ? "" : `\n${shortLine(shown, MAX_OUTPUT)}`;
  return `<cell id="${id}">${kind}${shortLine(joined(cell.source), MAX_SOURCE)}</cell id="${id}">${printed}`;
}

function outputText(output: { output_type: string; [field: string]: unknown }): string {
  switch (output.output_type) {
    case "stream":
      return textIn(output.text);
    case "error":
      return [String(output.ename ?? ""), String(output.evalue ?? ""), textIn(output.traceback)]
        .filter((part) => part !== "")
        .join("\n");
    default: {
      const { data } = output;
      if (typeof data !== "object" || data === null) return "";
      if ("text/plain" in data) return textIn(data["text/plain"]);
      return `[${Object.keys(data).join(", ")}]`;
    }
  }
}

function textIn(value: unknown): string {
  const parsed = v.safeParse(Text, value);
  return parsed.success ? joined(parsed.output) : "";
}

export const notebookRead = defineTool({
  definition: {
    name: "NotebookRead",
    description: "Reads the cells of a Jupyter notebook with their outputs.",
    input_schema: {
      type: "object",
      properties: { notebook_path: { type: "string" }, cell_id: { type: "string" } },
      required: ["notebook_path"],
    },
  },
  kind: "atomic",
  access: "read",
  input: v.object({ notebook_path: v.string(), cell_id: v.nullish(v.string(), null) }),
  run: ({ notebook_path, cell_id }, context) =>
    answering(() => {
      const path = pathOf(context, notebook_path);
      const { text, sha } = readText(context, path);
      return { ...readNotebook(path, text, cell_id), seen: { [path]: sha } };
    }),
});

export const notebookEdit = defineTool({
  definition: {
    name: "NotebookEdit",
    description:
      "Replaces, inserts (behind cell_id, or first) or deletes a cell of a Jupyter notebook that was read before.",
    input_schema: {
      type: "object",
      properties: {
        notebook_path: { type: "string" },
        cell_id: { type: "string" },
        new_source: { type: "string" },
        cell_type: { type: "string", enum: ["code", "markdown"] },
        edit_mode: { type: "string", enum: ["replace", "insert", "delete"] },
      },
      required: ["notebook_path", "new_source"],
    },
  },
  kind: "atomic",
  access: "edit",
  input: v.object({
    notebook_path: v.string(),
    cell_id: v.nullish(v.string(), null),
    new_source: v.nullish(v.string(), ""),
    cell_type: v.nullish(v.picklist(["code", "markdown"]), null),
    edit_mode: v.nullish(v.picklist(["replace", "insert", "delete"]), "replace"),
  }),
  run: ({ notebook_path, cell_id, new_source, cell_type, edit_mode }, context) =>
    answering(() => {
      const path = pathOf(context, notebook_path);
      const notebook = parsed(path, readKnown(context, path).text);
      const at = notebook.cells.findIndex((cell, i) => idOf(cell, i) === cell_id);
      if (cell_id !== null && at < 0) {
        throw new ToolRefusal(`Cell with ID "${cell_id}" not found in notebook.`);
      }
      if (cell_id === null && edit_mode !== "insert") {
        throw new ToolRefusal("Cell ID must be specified when not inserting a new cell.");
      }
      if (edit_mode === "insert" && cell_type === null) {
        throw new ToolRefusal("Cell type is required when using edit_mode=insert.");
      }
      const said = change(notebook, at, edit_mode, new_source, cell_type);
      const seen = writeText(context, path, `${JSON.stringify(notebook, null, 1)}\n`);
      return { ...textResult(said), seen };
    }),
});

function change(
  notebook: Notebook,
  at: number,
  mode: "replace" | "insert" | "delete",
  source: string,
  type: "code" | "markdown" | null,
): string {
  const { cells } = notebook;
  const there = cells[at];
  const id = there ? idOf(there, at) : "";
  if (mode === "delete") {
    cells.splice(at, 1);
    return `Deleted cell ${id}`;
  }
  if (mode === "insert") {
    const cell = newCell(notebook, type ?? "code", source);
    cells.splice(at + 1, 0, cell);
    return `Inserted cell ${idOf(cell, at + 1)} with ${source}`;
  }
  if (!there) return "";
  there.source = source;
  there.cell_type = type ?? there.cell_type;
  // What the old source printed is not what the new one would, and only code prints.
  if (there.cell_type === "code") Object.assign(there, { outputs: [], execution_count: null });
  else {
    delete there.outputs;
    delete there.execution_count;
  }
  return `Updated cell ${id} with ${source}`;
}

/** Ids are part of the format since version 4.5. */
function newCell(notebook: Notebook, type: "code" | "markdown", source: string): Cell {
  const { nbformat = 4, nbformat_minor = 5 } = notebook;
  const ids = nbformat > 4 || (nbformat === 4 && nbformat_minor >= 5);
  const taken = new Set(notebook.cells.map(({ id }) => id));
  let n = notebook.cells.length;
  while (taken.has(`cell-${n}`)) n += 1;
  const empty = type === "code" ? { outputs: [], execution_count: null } : {};
  const id = ids ? { id: `cell-${n}` } : {};
  return { ...id, cell_type: type, metadata: {}, source, ...empty };
}
