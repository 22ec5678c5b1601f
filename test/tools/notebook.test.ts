/** Notebooks: read by cell, and edited by cell without touching the rest. */
import { expect, test } from "vitest";
import { ToolBench, textOf } from "./context.ts";

const NOTEBOOK = {
  metadata: { kernelspec: { name: "python3" } },
  nbformat: 4,
  nbformat_minor: 5,
  cells: [
    { cell_type: "markdown", id: "intro", metadata: {}, source: ["# Title\n", "text"] },
    {
      outputs: [
        { output_type: "stream", name: "stdout", text: ["1\n", "2\n"] },
        { output_type: "execute_result", data: { "text/plain": "3" }, metadata: {} },
        { output_type: "display_data", data: { "image/png": "AAAA" }, metadata: {} },
        { output_type: "error", ename: "E", evalue: "bad", traceback: ["at 1"] },
      ],
      cell_type: "code",
      execution_count: 4,
      id: "code",
      metadata: { tags: ["x"] },
      source: "print(1)",
    },
  ],
};

async function withNotebook(notebook: unknown = NOTEBOOK): Promise<ToolBench> {
  const bench = new ToolBench();
  const text = typeof notebook === "string" ? notebook : JSON.stringify(notebook);
  await bench.inside((workspace) => void workspace.write("/workspace/n.ipynb", text));
  return bench;
}

const json = (bench: ToolBench) =>
  bench.inside((workspace) =>
    JSON.parse(new TextDecoder().decode(workspace.read("/workspace/n.ipynb"))),
  );

const SHOWN =
  '<cell id="intro"><cell_type>markdown</cell_type># Title\ntext</cell id="intro">\n<cell id="code">print(1)</cell id="code">\n1\n2\n\n3\n[image/png]\nE\nbad\nat 1';

test("Read and NotebookRead show cells and outputs", async () => {
  const bench = await withNotebook();
  expect(textOf(await bench.call("Read", { file_path: "n.ipynb" }))).toBe(SHOWN);
  const read = async (input: object = {}) =>
    textOf(await bench.call("NotebookRead", { notebook_path: "n.ipynb", ...input }));
  expect(await read()).toBe(SHOWN);
  expect(await read({ cell_id: "intro" })).toBe(SHOWN.split("\n<cell")[0]);
  expect(await read({ cell_id: "no" })).toBe('Cell with ID "no" not found in notebook.');
  const broken = await withNotebook("{}");
  const result = await broken.call("NotebookRead", { notebook_path: "n.ipynb" });
  expect(result).toMatchObject({ is_error: true });
  expect(textOf(result)).toBe("/workspace/n.ipynb is not a valid Jupyter notebook.");
});

test("what does not fit is said", async () => {
  const cell = (id: string, source: string) => ({ cell_type: "code", id, metadata: {}, source });
  const many = { ...NOTEBOOK, cells: ["a", "b", "c"].map((id) => cell(id, "x".repeat(45_000))) };
  const bench = await withNotebook(many);
  expect(textOf(await bench.call("Read", { file_path: "n.ipynb" }))).toMatch(
    /\(1 more cells from "c" on. Read them with NotebookRead and their cell_id.\)$/,
  );
  const output = { output_type: "stream", text: "y".repeat(10_010) };
  const loud = { ...NOTEBOOK, cells: [{ ...cell("a", ""), outputs: [output] }] };
  const other = await withNotebook(loud);
  expect(textOf(await other.call("Read", { file_path: "n.ipynb" }))).toMatch(
    /y… \[10 more characters\]$/,
  );
});

test("cells are replaced, inserted and deleted", async () => {
  const bench = await withNotebook();
  const edit = async (input: object) => {
    const all = { notebook_path: "n.ipynb", new_source: "", ...input };
    return textOf(await bench.call("NotebookEdit", all));
  };
  expect(await edit({ cell_id: "code", new_source: "2" })).toContain("has not been read yet");
  await bench.call("NotebookRead", { notebook_path: "n.ipynb" });
  expect(await edit({ cell_id: "code", new_source: "2" })).toBe("Updated cell code with 2");
  const { cells, ...rest } = NOTEBOOK;
  const [intro, code] = cells;
  const emptied = { ...code, source: "2", outputs: [], execution_count: null };
  expect(await json(bench)).toEqual({ ...rest, cells: [intro, emptied] });
  // The fields keep their order, so that a diff shows the change only.
  expect(Object.keys(await json(bench))).toEqual(Object.keys(NOTEBOOK));

  const inserted = { edit_mode: "insert", cell_type: "markdown", new_source: "hi" };
  expect(await edit({ ...inserted, cell_id: "intro" })).toBe("Inserted cell cell-2 with hi");
  expect(await edit({ ...inserted, cell_type: "code" })).toBe("Inserted cell cell-3 with hi");
  expect((await json(bench)).cells.map(({ id }: { id: string }) => id)).toEqual([
    "cell-3",
    "intro",
    "cell-2",
    "code",
  ]);
  expect(await edit({ edit_mode: "delete", cell_id: "intro" })).toBe("Deleted cell intro");
  expect(await edit({ cell_id: "code", cell_type: "markdown", new_source: "m" })).toContain(
    "Updated cell code",
  );
  expect((await json(bench)).cells.at(-1)).toEqual({
    cell_type: "markdown",
    id: "code",
    metadata: { tags: ["x"] },
    source: "m",
  });
  expect(await edit({ cell_id: "gone" })).toBe('Cell with ID "gone" not found in notebook.');
  expect(await edit({})).toContain("Cell ID must be specified");
  expect(await edit({ edit_mode: "insert" })).toContain("Cell type is required");
});

test("a notebook before version 4.5 has no ids, and gets none", async () => {
  const cells = [{ cell_type: "code", metadata: {}, source: "1", outputs: [] }];
  const bench = await withNotebook({ nbformat: 4, nbformat_minor: 4, metadata: {}, cells });
  expect(textOf(await bench.call("Read", { file_path: "n.ipynb" }))).toBe(
    '<cell id="cell-0">1</cell id="cell-0">',
  );
  await bench.call("NotebookEdit", {
    notebook_path: "n.ipynb",
    cell_id: "cell-0",
    edit_mode: "insert",
    cell_type: "code",
    new_source: "2",
  });
  const { cells: after } = await json(bench);
  expect(after).toHaveLength(2);
  expect(after.some((cell: object) => "id" in cell)).toBe(false);
});
