/** Other repositories: `clone`, `fetch`, `pull`, `push`, `remote`. */
import { cloneInto } from "../../../workspace/git.ts";
import { checkRepository } from "../../../workspace/git-http.ts";
import { normalized } from "../../../workspace/kept-paths.ts";
import type { Workspace } from "../../../workspace/workspace.ts";
import { GitExit, parseArguments } from "./arguments.ts";
import { mergeInto } from "./branch.ts";
import { type Place, type Repository, shortId } from "./repository.ts";

export async function clone(
  place: Place,
  workspace: Workspace,
  args: readonly string[],
): Promise<{ stdout: string; stderr: string }> {
  const options = parseArguments(args, [
    "depth=",
    "b|branch=",
    "single-branch",
    "no-single-branch",
    "no-tags",
    "q|quiet",
    "v|verbose",
    "progress",
    "recurse-submodules",
    "filter=",
  ]);
  const [url, folder] = options.rest;
  if (url === undefined) throw new GitExit("fatal: You must specify a repository to clone.", 129);
  const name = folder ?? nameOf(url);
  const path = normalized(name.startsWith("/") ? name : `${place.cwd}/${name}`);
  const ref = options.value("branch");
  await cloneInto(place.git, workspace, { url, path, ...(ref === undefined ? {} : { ref }) });
  const depth = options.value("depth");
  const notes = depth === "1" ? [] : ["Only the newest commit was fetched (depth 1)."];
  if (options.has("recurse-submodules")) notes.push("Submodules were not fetched.");
  const begin = options.has("quiet") ? [] : [`Cloning into '${name}'...`];
  return { stdout: "", stderr: [...begin, ...notes].map((line) => `${line}\n`).join("") };
}

/** The folder that git chooses for a repository. */
function nameOf(url: string): string {
  const name =
    url
      .replace(/[?#].*$/, "")
      .replace(/\/+$/, "")
      .split("/")
      .pop() ?? "";
  const plain = name.replace(/\.git$/, "");
  if (plain === "" || plain === "." || plain === "..") {
    throw new GitExit(`fatal: could not guess a folder for '${url}'; name one`, 128);
  }
  return plain;
}

export async function fetch(repository: Repository, args: readonly string[]): Promise<string> {
  const options = parseArguments(args, [
    "depth=",
    "all",
    "p|prune",
    "t|tags",
    "q|quiet",
    "unshallow",
  ]);
  const [remote = "origin", ref] = options.rest;
  const { git, at, http } = repository;
  await remoteUrl(repository, remote);
  const depth = Number(options.value("depth"));
  await git.fetch({
    ...at,
    http,
    remote,
    ...(ref === undefined ? {} : { ref, remoteRef: ref }),
    singleBranch: ref !== undefined,
    tags: options.has("tags"),
    prune: options.has("prune"),
    ...(depth > 0 ? { depth } : {}),
  });
  return "";
}

async function remoteUrl({ git, at }: Repository, remote: string): Promise<string> {
  const found = (await git.listRemotes(at)).find((one) => one.remote === remote);
  if (!found) throw new GitExit(`fatal: '${remote}' does not appear to be a git repository`);
  checkRepository(found.url);
  return found.url;
}

export async function pull(repository: Repository, args: readonly string[]): Promise<string> {
  const options = parseArguments(args, ["ff-only", "no-rebase", "rebase", "q|quiet", "depth="]);
  if (options.has("rebase"))
    throw new GitExit("fatal: git here cannot rebase; use git pull --no-rebase");
  const branch = await repository.branch();
  const [remote = "origin", ref = branch] = options.rest;
  if (branch === null || ref === null)
    throw new GitExit("fatal: You are not currently on a branch.");
  await remoteUrl(repository, remote);
  const { git, at, http } = repository;
  await git.fetch({ ...at, http, remote, ref, remoteRef: ref, singleBranch: true, tags: false });
  return mergeInto(repository, `refs/remotes/${remote}/${ref}`, {
    fastForwardOnly: options.has("ff-only"),
  });
}

export async function push(repository: Repository, args: readonly string[]): Promise<string> {
  const options = parseArguments(args, [
    "u|set-upstream",
    "f|force",
    "q|quiet",
    "tags",
    "force-with-lease",
  ]);
  const [remote = "origin", spec] = options.rest;
  const branch = spec ?? (await repository.branch());
  if (!branch) throw new GitExit("fatal: You are not currently on a branch.");
  const [ref = branch, remoteRef = ref] = branch.split(":");
  const url = await remoteUrl(repository, remote);
  const { git, at, http } = repository;
  const force = options.has("force") || options.has("force-with-lease");
  const result = await git.push({ ...at, http, remote, ref, remoteRef, force });
  if (!result.ok) throw new GitExit(`error: failed to push some refs to '${url}'`, 1);
  return `To ${url}\n   ${shortId((await repository.head()) ?? "")}  ${ref} -> ${remoteRef}\n`;
}

export async function remote(repository: Repository, args: readonly string[]): Promise<string> {
  const { git, at } = repository;
  const options = parseArguments(args, ["v|verbose", "f"]);
  const [action, name, url] = options.rest;
  const list = await git.listRemotes(at);
  switch (action) {
    case undefined:
      return list
        .map((one) =>
          options.has("verbose")
            ? `${one.remote}\t${one.url} (fetch)\n${one.remote}\t${one.url} (push)\n`
            : `${one.remote}\n`,
        )
        .join("");
    case "add":
    case "set-url":
      if (name === undefined || url === undefined) {
        throw new GitExit(`usage: git remote ${action} <name> <url>`, 129);
      }
      if (list.some((one) => one.remote === name) !== (action === "set-url")) {
        const why =
          action === "add" ? `remote ${name} already exists.` : `No such remote '${name}'`;
        throw new GitExit(`error: ${why}`, action === "add" ? 3 : 2);
      }
      checkRepository(url);
      await git.addRemote({ ...at, remote: name, url, force: action === "set-url" });
      return "";
    case "remove":
    case "rm":
    case "get-url": {
      const found = list.find((one) => one.remote === name);
      if (!found) throw new GitExit(`error: No such remote: '${name}'`, 2);
      if (action === "get-url") return `${found.url}\n`;
      await git.deleteRemote({ ...at, remote: found.remote });
      return "";
    }
    default:
      throw new GitExit(`error: unknown subcommand: ${action}`, 129);
  }
}
