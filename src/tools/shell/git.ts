/** `git`: on repositories of the workspace, and with others through the guard. */
import type { CustomCommand, ExecResult } from "just-bash";
import type { GuardedRequester } from "../../net/request.ts";
import { openGit, problemOf } from "../../workspace/git.ts";
import { normalized } from "../../workspace/kept-paths.ts";
import type { Workspace } from "../../workspace/workspace.ts";
import { GitExit } from "./git/arguments.ts";
import { branch, checkout, merge, stash, switchBranch, tag } from "./git/branch.ts";
import { diff, log, show } from "./git/history.ts";
import { config, init, listFiles, revParse } from "./git/other.ts";
import { clone, fetch, pull, push, remote } from "./git/remote.ts";
import { type Place, Repository } from "./git/repository.ts";
import { add, commit, move, remove, reset, restore } from "./git/stage.ts";
import { status } from "./git/status.ts";

type Subcommand = (repository: Repository, args: readonly string[]) => Promise<string>;

/** They work on the repository that the current folder belongs to. */
const SUBCOMMANDS: ReadonlyMap<string, Subcommand> = new Map(
  Object.entries({
    add,
    branch,
    checkout,
    commit,
    diff,
    fetch,
    log,
    "ls-files": listFiles,
    merge,
    mv: move,
    pull,
    push,
    remote,
    reset,
    restore,
    "rev-parse": revParse,
    rm: remove,
    show,
    stash,
    status,
    switch: switchBranch,
    tag,
  }),
);

const NAMES = [...SUBCOMMANDS.keys(), "clone", "config", "init"].sort().join(", ");

export interface GitCommandOptions {
  workspace: Workspace;
  request: GuardedRequester;
  enter: () => Promise<void> | undefined;
}

export const gitCommand = (options: GitCommandOptions): CustomCommand => ({
  name: "git",
  async execute(args, { cwd, exportedEnv }) {
    try {
      const { rest, folder, config } = globalOptions(args, cwd);
      const place = { git: await openGit(options), cwd: folder, env: exportedEnv ?? {}, config };
      return done(await run(rest, place, options.workspace));
    } catch (error) {
      return failed(error);
    }
  },
});

interface Printed {
  stdout: string;
  stderr?: string;
}

async function run(
  [name, ...args]: readonly string[],
  place: Place,
  workspace: Workspace,
): Promise<Printed> {
  switch (name) {
    case undefined:
    case "help":
    case "--help":
      return { stdout: `usage: git <command> [<args>]\n\nThere are: ${NAMES}.\n` };
    case "version":
    case "--version":
      return { stdout: "git version 2.43.0 (isomorphic-git)\n" };
    case "clone":
      return clone(place, workspace, args);
    case "init":
      return { stdout: await init(place, args) };
    case "config":
      return { stdout: await config(place, args) };
  }
  const subcommand = SUBCOMMANDS.get(name);
  if (!subcommand) {
    throw new GitExit(`git: '${name}' is not a git command here. There are: ${NAMES}.`, 1);
  }
  return { stdout: await subcommand(await Repository.open(place), args) };
}

/** What stands in front of the subcommand. */
function globalOptions(args: readonly string[], cwd: string) {
  const rest = [...args];
  const config = new Map<string, string>();
  let folder = cwd;
  while (rest[0]?.startsWith("-") && !["--version", "--help"].includes(rest[0])) {
    const option = rest.shift();
    if (option === "--no-pager" || option === "-P") continue;
    const value = rest.shift();
    if (value === undefined || (option !== "-C" && option !== "-c")) {
      throw new GitExit(`unknown option: ${option}`, 129);
    }
    if (option === "-C") folder = normalized(value.startsWith("/") ? value : `${folder}/${value}`);
    else {
      const [name = "", ...text] = value.split("=");
      config.set(name, text.length > 0 ? text.join("=") : "true");
    }
  }
  return { rest, folder, config };
}

const done = ({ stdout, stderr = "" }: Printed): ExecResult => ({ stdout, stderr, exitCode: 0 });

function failed(error: unknown): ExecResult {
  if (error instanceof GitExit) {
    const stderr = error.message === "" ? "" : `${error.message}\n`;
    return { stdout: "", stderr, exitCode: error.exitCode };
  }
  return { stdout: "", stderr: `fatal: ${problemOf(error).message}\n`, exitCode: 128 };
}
