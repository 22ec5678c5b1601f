/** `init`, `config`, `rev-parse`, `ls-files`, `mv`. */
import { normalized } from "../../../workspace/kept-paths.ts";
import { GitExit, parseArguments } from "./arguments.ts";
import { GLOBAL_GITDIR, isBelow, type Place, Repository, shortId } from "./repository.ts";
import { promises } from "./stage.ts";

export async function init(place: Place, args: readonly string[]): Promise<string> {
  const options = parseArguments(args, ["b|initial-branch=", "q|quiet", "bare"]);
  if (options.has("bare")) throw new GitExit("fatal: git here has no bare repositories");
  const [folder = "."] = options.rest;
  const dir = normalized(folder.startsWith("/") ? folder : `${place.cwd}/${folder}`);
  const { git, fs } = place.git;
  const again = await promises(fs)
    .stat(`${dir}/.git`)
    .then(
      () => true,
      () => false,
    );
  await git.init({ fs, dir, defaultBranch: options.value("initial-branch") ?? "main" });
  if (options.has("quiet")) return "";
  return `${again ? "Reinitialized existing" : "Initialized empty"} Git repository in ${dir}/.git/\n`;
}

export async function config(place: Place, args: readonly string[]): Promise<string> {
  const options = parseArguments(args, [
    "global",
    "local",
    "system",
    "get",
    "unset",
    "l|list",
    "add",
  ]);
  const { git, fs } = place.git;
  const isGlobal = options.has("global") || options.has("system");
  const repository = isGlobal ? null : await Repository.open(place).catch(() => null);
  const [path, value] = options.rest;
  if (options.has("list")) return listed(place, repository);
  if (path === undefined) throw new GitExit("error: no action specified", 129);
  if (value === undefined && !options.has("unset")) {
    const found = repository
      ? await repository.config(path)
      : await git.getConfig({ fs, gitdir: GLOBAL_GITDIR, path }).catch(() => undefined);
    if (found === undefined) throw new GitExit("", 1);
    return `${found}\n`;
  }
  if (!repository && !isGlobal) throw new GitExit("fatal: not in a git directory");
  const at = repository ? repository.at : { fs, gitdir: GLOBAL_GITDIR };
  await git.setConfig({ ...at, path, value: options.has("unset") ? undefined : value });
  return "";
}

async function listed(place: Place, repository: Repository | null): Promise<string> {
  const names = ["user.name", "user.email", "core.bare", "init.defaultbranch"];
  const { git, fs } = place.git;
  const lines: string[] = [];
  for (const path of names) {
    const found = repository
      ? await repository.config(path)
      : await git.getConfig({ fs, gitdir: GLOBAL_GITDIR, path }).catch(() => undefined);
    if (found !== undefined) lines.push(`${path}=${found}\n`);
  }
  return lines.join("");
}

export async function revParse(repository: Repository, args: readonly string[]): Promise<string> {
  const options = parseArguments(args, [
    "abbrev-ref",
    "short",
    "show-toplevel",
    "is-inside-work-tree",
    "git-dir",
    "verify",
    "q|quiet",
  ]);
  const lines: string[] = [];
  if (options.has("show-toplevel")) lines.push(repository.dir);
  if (options.has("is-inside-work-tree")) lines.push("true");
  if (options.has("git-dir")) lines.push(`${repository.dir}/.git`);
  for (const revision of options.rest) {
    if (options.has("abbrev-ref")) {
      lines.push(revision === "HEAD" ? ((await repository.branch()) ?? "HEAD") : revision);
    } else {
      const oid = await repository.resolve(revision);
      lines.push(options.has("short") ? shortId(oid) : oid);
    }
  }
  return lines.map((line) => `${line}\n`).join("");
}

export async function listFiles(repository: Repository, args: readonly string[]): Promise<string> {
  const options = parseArguments(args, ["c|cached", "z"]);
  const paths = repository.paths([...options.rest, ...(options.paths ?? [])]);
  const files = await repository.git.listFiles(repository.at);
  return files
    .filter((file) => isBelow(file, paths))
    .map((file) => `${file}\n`)
    .join("");
}
