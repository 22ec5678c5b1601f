/** The session's own tools whose writes and results are one step. */
import { expect } from "vitest";
import { text } from "../../src/standin/replies.ts";
import { pngBytes } from "../api/cc/server.ts";
import { failingDisk, matrix } from "./matrix.ts";
import { answersBefore, call } from "./model.ts";
import type { Script } from "./run.ts";
import type { Told } from "./story.ts";

const picture = pngBytes(3_000);
const notebook = JSON.stringify({
  nbformat: 4,
  nbformat_minor: 5,
  metadata: {},
  cells: [{ id: "one", cell_type: "code", metadata: {}, source: "1", outputs: [] }],
});

const at = (path: string) => ({ file_path: `/workspace/${path}` });
const change = (old_string: string, new_string: string) => ({ old_string, new_string });

/** Each change shows if it is made twice. */
const CHANGES = [
  call("TodoWrite", { todos: [{ content: "Write", status: "in_progress" }] }),
  call("Write", { ...at("src/deep/a.txt"), content: "alpha\nbeta\n" }),
  call("Edit", { ...at("src/deep/a.txt"), ...change("beta", "beta beta") }),
  call("Write", { ...at("big.txt"), content: "ab\n".repeat(1_000) }),
  // Beyond what the workspace keeps in one piece.
  call("MultiEdit", {
    ...at("big.txt"),
    edits: [
      { ...change("ab", "abc".repeat(200)), replace_all: true },
      { ...change("cabc", "cab-c"), replace_all: true },
    ],
  }),
  call("Write", { ...at("n.ipynb"), content: notebook }),
  call("NotebookEdit", {
    notebook_path: "/workspace/n.ipynb",
    edit_mode: "insert",
    cell_id: "one",
    cell_type: "code",
    new_source: "2",
  }),
];

const LOOKS = [
  call("Read", at("src/deep/a.txt")),
  call("Read", at("look.png")),
  call("LS", { path: "/workspace" }),
  call("Glob", { pattern: "**/*.txt" }),
  call("Grep", { pattern: "beta", output_mode: "content" }),
  call("NotebookRead", { notebook_path: "/workspace/n.ipynb" }),
];

const script = (): Script => ({
  answer: (_, request) => [CHANGES, LOOKS, text("All done.")][answersBefore(request)] ?? [],
  points: ["tool", "write", "tool_ran", "commit", "committed", "answer", "sent"],
  writes: 1,
  atomic: true,
  async play(client) {
    await client.put("look.png", picture);
    await client.turn("Work");
  },
  check({ events }) {
    const ended = (events as unknown as Told[]).filter(({ type }) => type === "tool.completed");
    expect(ended.map(({ data }) => data.status)).toEqual([...CHANGES, ...LOOKS].map(() => "ok"));
  },
});

matrix("all atomic tools", { attached: 108, alone: 109 }, script);
failingDisk("all atomic tools", 26, script);
