/** What a tool is given, on the workspace of a real object. */
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { ulid } from "ulid";
import { builtinTool } from "../../src/tools/registry.ts";
import type { ToolContext, ToolResult } from "../../src/tools/tool.ts";
import { ROOT } from "../../src/workspace/paths.ts";
import { LIMITS, Workspace, type WorkspaceLimits } from "../../src/workspace/workspace.ts";

/** Calls to tools in one session: its files are kept, and so is what the calls know of each other. */
export class ToolBench {
  readonly name = ulid();
  readonly known = new Map<string, string>();
  shell: ToolContext["shell"] = { cwd: ROOT, env: {} };
  /** What tools printed while they ran, in the order of its arrival. */
  readonly output: string[] = [];
  readonly #limits: WorkspaceLimits;
  #calls = 0;

  constructor(limits: WorkspaceLimits = LIMITS) {
    this.#limits = limits;
  }

  /** Runs `act` inside of the object, with its workspace. */
  inside<T>(act: (workspace: Workspace) => T | Promise<T>): Promise<T> {
    const object = env.SESSION.getByName(`acct_tools/${this.name}`);
    return runInDurableObject(object, (_, state) =>
      act(new Workspace(state.storage, this.#limits)),
    );
  }

  /** Calls a tool as the session does, and keeps what it says of files and the shell. */
  async call(name: string, input: unknown, given: Partial<ToolContext> = {}): Promise<ToolResult> {
    const tool = builtinTool(name);
    if (!tool) throw new Error(`there is no tool ${name}`);
    const prepared = tool.prepare(input);
    if (!prepared.ok) throw new Error(prepared.message);
    const result = await this.inside((workspace) =>
      prepared.run({ ...this.#context(workspace), ...given }),
    );
    for (const [path, sha] of Object.entries(result.seen ?? {})) this.known.set(path, sha);
    if (result.shell) this.shell = result.shell;
    return result;
  }

  #context(workspace: Workspace): ToolContext {
    this.#calls += 1;
    return {
      workspace,
      seen: (path) => this.known.get(path) ?? null,
      cwd: this.shell.cwd,
      shell: this.shell,
      request: async () => ({ ok: false, code: "fetch_failed", message: "There is no network" }),
      output: (text) => void this.output.push(text),
      signal: new AbortController().signal,
      media: (bytes, media_type) => ({
        type: "media",
        media_type,
        bytes: bytes.byteLength,
        sha256: "0".repeat(64),
      }),
      id: `call_1_${this.#calls}`,
    };
  }
}

/** The text of a result. */
export const textOf = ({ content }: ToolResult): string =>
  content.map((block) => (block.type === "text" ? block.text : "")).join("\n");

/** What a command prints in the session of the bench. */
export const said = async (
  bench: ToolBench,
  command: string,
  given: Partial<ToolContext> = {},
): Promise<string> => textOf(await bench.call("Bash", { command }, given));
