/**
 * Runs the session's own tools. An `atomic` tool's writes and its result are one synchronous step,
 * which the platform commits as a whole, so a crash undoes both and it runs again; a `once` tool is
 * noted on disk before it starts, and is never started twice.
 */
import { createHash } from "node:crypto";
import type { GuardedRequester } from "../net/request.ts";
import { errorOf, type LoggedPlace, writeLine } from "../shared/log-line.ts";
import type { ToolEndedBody } from "../shared/rows.ts";
import { builtinTool } from "../tools/registry.ts";
import { type AnyTool, errorResult, type ToolContext, type ToolResult } from "../tools/tool.ts";
import { ROOT } from "../workspace/paths.ts";
import { Workspace } from "../workspace/workspace.ts";
import { mediaExcess } from "./admission.ts";
import type { Draft } from "./draft.ts";
import type { FaultPoint } from "./fault-points.ts";
import type { Followers } from "./followers.ts";
import { keptFrom, newDenialOf } from "./gates.ts";
import { noteInstructions } from "./instructions.ts";
import { MEDIA_PIECE_BYTES, type MediaStore } from "./media.ts";
import { ledgeResult } from "./settle.ts";
import { type OpenTool, runnable } from "./state.ts";
import type { Store } from "./store.ts";

export interface ToolEdges {
  store: Store;
  storage: DurableObjectStorage;
  media: MediaStore;
  followers: Followers;
  /** Writes a draft, tells the followers, keeps the alarm. */
  commit: (draft: Draft) => void;
  reach: (point: FaultPoint) => void;
  request: GuardedRequester;
  place: LoggedPlace;
}

/** Images and documents of a result, which are stored with it: its hash and its bytes. */
type Media = Map<string, Uint8Array<ArrayBuffer>>;

/** Tools of one turn that wait for the world outside at the same time. */
const AT_ONCE = 4;

export class ToolRunner {
  readonly #edges: ToolEdges;
  #workspace: Workspace | null = null;
  #running = new AbortController();

  constructor(edges: ToolEdges) {
    this.#edges = edges;
  }

  /** The session's files, opened on first use. */
  get workspace(): Workspace {
    this.#workspace ??= new Workspace(this.#edges.storage);
    return this.#workspace;
  }

  /** Stops what runs, after the rows that end its calls are written. */
  abort(): void {
    this.#running.abort(new Error("interrupted"));
    this.#running = new AbortController();
  }

  /** Runs the first of the calls, and with it those behind it that may run beside it. */
  async run(tools: readonly OpenTool[]): Promise<void> {
    const [first] = tools;
    if (!first) return;
    const others = isParallel(first) ? tools.slice(1) : [];
    const end = others.findIndex((tool) => !isParallel(tool));
    const batch = [first, ...others.slice(0, end < 0 ? others.length : end)].slice(0, AT_ONCE);
    await Promise.all(batch.map((tool) => this.#run(tool, this.workspace)));
  }

  async #run(open: OpenTool, workspace: Workspace): Promise<void> {
    const tool = builtinTool(open.name);
    const prepared = tool?.prepare(this.#input(open));
    if (!tool || !prepared) return this.#end(open, errorResult(`There is no tool ${open.name}.`));
    if (!prepared.ok) return this.#end(open, errorResult(prepared.message));
    const denial = this.#newDenial(open);
    if (denial !== null) return this.#end(open, errorResult(denial));
    this.#edges.reach("tool");
    this.#makeFolder(workspace);
    const media: Media = new Map();
    const context = this.#context(open, workspace, media);
    if (tool.kind === "atomic") {
      const result = this.#runAtomic(open, workspace, () => prepared.run(context));
      this.#end(open, result, media);
      return this.#edges.reach("tool_ran");
    }
    this.#start(open);
    const result = await this.#guarded(() => prepared.run(context));
    this.#edges.reach("tool_ran");
    this.#end(open, result, media);
  }

  /** A call before this one may have gone to another folder, where its paths mean other files. */
  #newDenial(open: OpenTool): string | null {
    const { state, log } = this.#edges.store;
    const block = log.rowOf("block.tool", open.seq)?.body.block;
    if (!state.turn || !block || open.confirmed !== null) return null;
    return newDenialOf(state, state.turn, block);
  }

  /** The session's folder need not be there before tools begin in it. */
  #makeFolder(workspace: Workspace): void {
    const { cwd, shell } = this.#edges.store.state;
    if (cwd === ROOT || shell?.cwd !== cwd) return;
    try {
      if (workspace.stat(cwd)) return;
      this.#edges.storage.transactionSync(() => workspace.makeDirectory(cwd));
    } catch {
      // There is no room, or a file in its way: the tools say so where it matters.
      workspace.forget();
    }
  }

  /** The model's input, or the one that the user has put in its place. */
  #input(open: OpenTool): unknown {
    const { log } = this.#edges.store;
    const confirmed =
      open.confirmed === null ? null : log.rowOf("tool.confirmed", open.confirmed)?.body.input;
    return confirmed ?? log.rowOf("block.tool", open.seq)?.body.block.input;
  }

  /**
   * A tool that throws leaves nothing of what it wrote. Nothing is awaited between its first write and
   * the row of its result, or a crash could keep the one without the other.
   */
  #runAtomic(
    open: OpenTool,
    workspace: Workspace,
    run: () => ToolResult | Promise<ToolResult>,
  ): ToolResult {
    try {
      return this.#edges.storage.transactionSync(() => {
        const done = run();
        if (done instanceof Promise) throw new TypeError(`${open.name} is not atomic`);
        return done;
      });
    } catch (error) {
      workspace.forget();
      return this.#failed(error);
    }
  }

  async #guarded(run: () => ToolResult | Promise<ToolResult>): Promise<ToolResult> {
    try {
      return await run();
    } catch (error) {
      return this.#failed(error);
    }
  }

  /** What nothing foresaw. The message may quote anything, so the log has only its kind. */
  #failed(error: unknown): ToolResult {
    const { place } = this.#edges;
    writeLine({ event: "error", ...place, what: "a tool", error: errorOf(error) });
    const message = error instanceof Error ? error.message : "unknown error";
    return errorResult(`The tool failed: ${message}`);
  }

  #start({ id }: OpenTool): void {
    const { store, commit } = this.#edges;
    const draft = store.draft();
    const turn = draft.state.turn?.turn ?? 0;
    draft.add({ type: "tool.started", body: { tool: id, turn, runner: "server" } });
    commit(draft);
  }

  /** Writes a result, unless the call was settled in the meantime. */
  #end(open: OpenTool, given: ToolResult, media: Media = new Map()): void {
    const { store, commit } = this.#edges;
    const draft = store.draft();
    const { turn, context } = draft.state;
    if (!turn?.tools.some(({ id }) => id === open.id)) return;
    const excess = mediaExcess(context.media, given.content, "this result");
    const result = excess === null ? given : errorResult(`${excess} ${NOT_SHOWN}`);
    if (excess === null) for (const [sha, bytes] of media) this.#keep(sha, bytes);
    draft.add({ type: "tool.ended", body: endedBody(open.id, turn.turn, result) });
    const access = builtinTool(open.name)?.access;
    if (access === "edit" || access === "execute") {
      noteInstructions(draft, this.workspace, "files");
    }
    commit(draft);
  }

  #context(open: OpenTool, workspace: Workspace, media: Media): ToolContext {
    const { store, followers, request } = this.#edges;
    const { shell } = store.state;
    const { signal } = this.#running;
    const cwd = shell?.cwd ?? ROOT;
    const { turn } = store.state;
    const { refuses, ...kept } = turn ? keptFrom(store.state, turn, open.name) : {};
    const denied = refuses ? { refuses } : {};
    return {
      workspace,
      seen: (path) => store.seen(path),
      ...kept,
      cwd,
      shell: shell ?? { cwd, env: {} },
      request: (address, options) => request(address, { signal, ...denied, ...options }),
      output: (text) =>
        followers.output({ tool: open.id, turn: store.state.turn?.turn ?? 0, text }),
      signal,
      media(bytes, media_type) {
        const sha256 = createHash("sha256").update(bytes).digest("hex");
        media.set(sha256, bytes);
        return { type: "media", media_type, bytes: bytes.byteLength, sha256 };
      },
      id: open.id,
    };
  }

  #keep(sha: string, bytes: Uint8Array<ArrayBuffer>): void {
    for (let n = 0; n * MEDIA_PIECE_BYTES < Math.max(1, bytes.byteLength); n++) {
      const piece = bytes.slice(n * MEDIA_PIECE_BYTES, (n + 1) * MEDIA_PIECE_BYTES);
      this.#edges.media.put(sha, n, piece.buffer);
    }
  }
}

/** What the model can do when a conversation has no room for an image or document. */
const NOT_SHOWN =
  "So it was not shown. Go on without it, look at a smaller one, or tell the user that a new session can show it.";

/** It only waits for the world outside, and touches nothing that the others use. */
const isParallel = ({ name }: OpenTool): boolean => {
  const tool: AnyTool | null = builtinTool(name);
  return tool?.kind === "once" && tool.access === "network";
};

function endedBody(tool: string, turn: number, result: ToolResult): ToolEndedBody {
  const { content, is_error, seen, shell } = result;
  return {
    tool,
    turn,
    by: "server",
    status: is_error ? "error" : "ok",
    content,
    is_error,
    ...(seen ? { seen } : {}),
    ...(shell ? { shell } : {}),
  };
}

const UNKNOWN =
  "The server stopped while this ran, so whether it took effect is not known. It was not run again. Look before you repeat it.";

/**
 * What became of tools that ran when the object died: one that was started is not started again, and
 * one that was not runs again, which counts as a loss of the step.
 */
export function addLostTools(draft: Draft): void {
  const { turn } = draft.state;
  if (turn?.status !== "running" || draft.state.call) return;
  const own = runnable(turn);
  for (const { id } of own.filter(({ started }) => started)) {
    draft.add(ledgeResult(turn.turn, id, "unknown", UNKNOWN));
  }
  const [next] = own.filter(({ started }) => !started);
  if (!next) return;
  const message = "The server stopped while this tool ran, and it runs again.";
  draft.add({ type: "failure", body: { turn: turn.turn, tool: next.id, code: "lost", message } });
}
