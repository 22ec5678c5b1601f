/** One call of the shell: a script in, its output and the shell's new state out. */
import type { Bash, BashExecResult, CustomCommand } from "just-bash";
import { clock } from "../../shared/clock.ts";
import type { ShellState } from "../../shared/tools.ts";
import { isKept, TEMPORARY } from "../../workspace/kept-paths.ts";
import { ROOT } from "../../workspace/paths.ts";
import { DEVICES, ShellFs } from "../../workspace/shell-fs.ts";
import type { ToolContext } from "../tool.ts";
import { diffCommand } from "./diff.ts";
import { withOpenErrors } from "./file-redirects.ts";
import { gitCommand } from "./git.ts";
import { historyCommand } from "./history.ts";
import { MAX_BASE_BYTES, MAX_MS, MAX_OUTPUT, SHELL_LIMITS } from "./limits.ts";
import { LIVE_ERR, LIVE_OUT, LiveOutput } from "./live.ts";
import { shellFetch } from "./network.ts";
import {
  commandHint,
  deviceHint,
  type Ended,
  plainWords,
  rangeHint,
  stopText,
  withoutAbort,
} from "./result.ts";
import { ruledWorkspace } from "./ruled-workspace.ts";
import { historyOf, stateAfter, variablesOf } from "./state.ts";
import { Stopper } from "./stopper.ts";
import { canStream, streamed } from "./stream-script.ts";
import { tarCommand } from "./tar.ts";

/** Kept once it is there: an object that dies while it is loaded must not hold up the next one. */
let loaded: typeof import("just-bash") | null = null;

export interface ShellRun extends Ended {
  shell: ShellState;
}

/** Runs a script; whatever happens in it is in the result. */
export async function runScript(
  script: string,
  context: ToolContext,
  timeoutMs: number,
): Promise<ShellRun> {
  loaded ??= await import("just-bash");
  const stopper = new Stopper(clock, context.signal, timeoutMs);
  let refused: string | null = null;
  const live = new LiveOutput({
    clock,
    words: (text) => plainWords(text, refused),
    show: (text) => context.output(text),
    limit: MAX_OUTPUT,
    full: () => stopper.stop("output"),
  });
  const history = [...historyOf(context.shell), script];
  const shell = openShell(loaded, {
    context,
    stopper,
    live,
    history,
    refused: (reason) => {
      refused = reason;
    },
  });
  try {
    prepare(shell.bash, canStream(script));
    const began = shell.bash.getEnv();
    const ended = await endOf(shell.bash, script, stopper);
    live.add("out", ended.stdout);
    live.add("err", stopper.reason === null ? ended.stderr : withoutAbort(ended.stderr));
    const { out: stdout, err: stderr } = live;
    const env = ended.env ?? began;
    const folder = folderAfter(context, env.PWD ?? shell.cwd);
    const { state, dropped } = stateAfter(context.shell, { cwd: folder.cwd, env, began, history });
    const notes = [
      rangeHint(script),
      deviceHint(script),
      commandHint(`${stderr}\n${stdout}`, shell.commands),
      ...new Set(shell.unanswered),
      folder.note,
      dropped.length > 0 ? `Too long to be kept for the next call: ${dropped.join(" ")}.` : null,
    ].filter((note) => note !== null);
    const stopped = stopper.reason && stopText(stopper.reason, timeoutMs);
    return { stdout, stderr, exitCode: ended.exitCode, stopped, notes, shell: state };
  } finally {
    stopper.close();
    live.close();
  }
}

interface Parts {
  context: ToolContext;
  stopper: Stopper;
  live: LiveOutput;
  history: string[];
  refused: (reason: string) => void;
}

interface Shell {
  bash: Bash;
  cwd: string;
  commands: string[];
  /** Why requests had no answer. */
  unanswered: string[];
}

/** A shell over the session's files, with the variables of its last call. */
function openShell(
  { Bash, InMemoryFs, getCommandNames }: typeof import("just-bash"),
  { context, stopper, live, history, refused }: Parts,
): Shell {
  const workspace = context.rules
    ? ruledWorkspace(context.workspace, context.rules)
    : context.workspace;
  const unanswered: string[] = [];
  const enter = (cost?: number) => stopper.enter(cost);
  const request: typeof context.request = (address, options) =>
    context.request(address, { signal: stopper.signal, ...options });
  const fs = new ShellFs({
    workspace,
    base: new InMemoryFs({}, { maxTotalBytes: MAX_BASE_BYTES }),
    devices: {
      ...DEVICES,
      "/dev/tty": live.device("out"),
      "/dev/stderr": live.device("err"),
      [LIVE_OUT]: live.device("out"),
      [LIVE_ERR]: live.device("err"),
    },
    enter,
    refused,
  });
  const own: CustomCommand[] = [
    historyCommand(history),
    diffCommand,
    tarCommand,
    gitCommand({ workspace, request, enter }),
  ];
  const cwd = isFolder(context, context.shell.cwd) ? context.shell.cwd : ROOT;
  const bash = new Bash({
    fs,
    cwd,
    env: { HOME: ROOT, USER: "user", LANG: "C.UTF-8", ...variablesOf(context.shell) },
    customCommands: own,
    fetch: shellFetch(request, (message) => unanswered.push(message)),
    sleep: (ms) => stopper.sleep(ms),
    // Told of each step of awk, jq and sed, whose own limits hold for one loop only.
    coverage: { hit: () => stopper.step() },
    executionLimits: { ...SHELL_LIMITS, maxExecutionTimeMs: MAX_MS },
    // It changes the globals of the isolate, in which other sessions run.
    defenseInDepth: false,
  });
  const commands = new Set([...getCommandNames(), "curl", ...own.map(({ name }) => name)]);
  return { bash, cwd, unanswered, commands: [...commands].sort() };
}

/** Changes scripts before they run. Only the first may be streamed: commands take the others' output. */
function prepare(bash: Bash, stream: boolean): void {
  let first = stream;
  bash.registerTransformPlugin({
    name: "ledge",
    transform({ ast }) {
      const script = withOpenErrors(ast);
      const isFirst = first;
      first = false;
      return { ast: isFirst ? streamed(script) : script };
    },
  });
}

type ScriptEnd = Pick<BashExecResult, "stdout" | "stderr" | "exitCode"> & {
  env?: Record<string, string>;
};

/** Never throws: what the shell cannot handle itself is an error of the script. */
async function endOf(bash: Bash, script: string, stopper: Stopper): Promise<ScriptEnd> {
  try {
    const running = bash.exec(script, { signal: stopper.signal, rawScript: true });
    running.catch(() => {});
    const ended = await Promise.race([running, stopper.late]);
    return ended ?? { stdout: "", stderr: "", exitCode: 124 };
  } catch (error) {
    const message = error instanceof Error ? error.message : "unknown error";
    return { stdout: "", stderr: `bash: ${message}\n`, exitCode: 1 };
  }
}

/** The folder that the next call begins in. */
const folderAfter = (context: ToolContext, cwd: string): { cwd: string; note: string | null } =>
  isFolder(context, cwd)
    ? { cwd, note: null }
    : { cwd: ROOT, note: `Shell cwd was reset to ${ROOT}` };

/** It is there, and kept. The two roots are, also before they hold anything. */
const isFolder = ({ workspace }: ToolContext, path: string): boolean =>
  path === ROOT ||
  path === TEMPORARY ||
  (isKept(path) && workspace.stat(path)?.type === "directory");
