/** Branches: `branch`, `checkout`, `switch`, `merge`, `tag`, `stash`. */
import { GitExit, parseArguments } from "./arguments.ts";
import { beginMerge, endMerge } from "./merging.ts";
import { type Repository, shortId } from "./repository.ts";
import { firstLine, restoreFiles } from "./stage.ts";

export async function branch(repository: Repository, args: readonly string[]): Promise<string> {
  const options = parseArguments(args, [
    "a|all",
    "r|remotes",
    "d|delete",
    "D",
    "m|move",
    "M",
    "f|force",
    "v|verbose",
    "show-current",
    "list",
    "q|quiet",
    "vv",
  ]);
  const { git, at } = repository;
  const current = await repository.branch();
  if (options.has("show-current")) return current === null ? "" : `${current}\n`;
  const [first, second] = options.rest;
  if (options.has("delete") || options.has("D")) return deleteBranches(repository, options.rest);
  if (options.has("move") || options.has("M")) {
    const [oldref, ref] = second === undefined ? [current, first] : [first, second];
    if (!oldref || !ref) throw new GitExit("fatal: branch name required");
    await git.renameBranch({ ...at, oldref, ref, checkout: oldref === current });
    return "";
  }
  if (first !== undefined && !options.has("list")) {
    await newBranch(repository, first, second, options.has("force"));
    return "";
  }
  return listBranches(
    repository,
    current,
    options.has("all"),
    options.has("remotes"),
    options.has("verbose"),
  );
}

async function newBranch(
  repository: Repository,
  name: string,
  start: string | undefined,
  force: boolean,
): Promise<void> {
  const { git, at } = repository;
  if ((await git.listBranches(at)).includes(name) && !force) {
    throw new GitExit(`fatal: a branch named '${name}' already exists`);
  }
  if ((await repository.head()) === null) {
    throw new GitExit(`fatal: not a valid object name: '${await repository.branch()}'`);
  }
  const object = await repository.resolve(start ?? "HEAD");
  await git.branch({ ...at, ref: name, object, force });
}

async function deleteBranches(repository: Repository, names: readonly string[]): Promise<string> {
  const { git, at } = repository;
  const current = await repository.branch();
  const lines: string[] = [];
  for (const name of names) {
    if (name === current) {
      throw new GitExit(`error: cannot delete branch '${name}' used by worktree at '${at.dir}'`, 1);
    }
    const oid = await repository.find(`refs/heads/${name}`);
    if (oid === null) throw new GitExit(`error: branch '${name}' not found`, 1);
    await git.deleteBranch({ ...at, ref: name });
    lines.push(`Deleted branch ${name} (was ${shortId(oid)}).\n`);
  }
  return lines.join("");
}

async function listBranches(
  repository: Repository,
  current: string | null,
  all: boolean,
  remotes: boolean,
  verbose: boolean,
): Promise<string> {
  const { git, at } = repository;
  const rows: { mark: string; name: string; ref: string }[] = [];
  if (!remotes) {
    if (current === null) {
      const head = await repository.head();
      if (head !== null) {
        rows.push({ mark: "*", name: `(HEAD detached at ${shortId(head)})`, ref: "HEAD" });
      }
    }
    for (const name of await git.listBranches(at)) {
      rows.push({ mark: name === current ? "*" : " ", name, ref: `refs/heads/${name}` });
    }
  }
  if (all || remotes) {
    for (const { remote } of await git.listRemotes(at)) {
      for (const name of await git.listBranches({ ...at, remote })) {
        const shown = `${all ? "remotes/" : ""}${remote}/${name}`;
        rows.push({ mark: " ", name: shown, ref: `refs/remotes/${remote}/${name}` });
      }
    }
  }
  const width = Math.max(0, ...rows.map(({ name }) => name.length));
  const lines = rows.map(async ({ mark, name, ref }) => {
    const oid = verbose ? await repository.find(ref) : null;
    if (oid === null) return `${mark} ${name}\n`;
    const { commit } = await repository.commit(oid);
    return `${mark} ${name.padEnd(width)} ${shortId(oid)} ${firstLine(commit.message)}\n`;
  });
  return (await Promise.all(lines)).join("");
}

export async function checkout(repository: Repository, args: readonly string[]): Promise<string> {
  const options = parseArguments(args, ["b=", "B=", "f|force", "q|quiet", "t|track", "detach"]);
  const [first, ...others] = options.rest;
  const created = options.value("b") ?? options.value("B");
  if (created !== undefined) {
    return switched(repository, created, { create: true, start: first, force: options.has("B") });
  }
  const revision = first === undefined ? null : await targetOf(repository, first);
  const named = revision === null ? options.rest : others;
  const given = [...named, ...(options.paths ?? [])];
  if (given.length > 0) {
    const paths = repository.paths(given);
    const count = await restoreFiles(repository, paths, revision === null ? null : (first ?? null));
    return `Updated ${count} path${count === 1 ? "" : "s"} from ${revision === null ? "the index" : first}\n`;
  }
  if (first === undefined || revision === null) {
    throw new GitExit("fatal: you must say which branch or which files");
  }
  return switched(repository, first, { force: options.has("force") });
}

export async function switchBranch(
  repository: Repository,
  args: readonly string[],
): Promise<string> {
  const options = parseArguments(args, [
    "c|create=",
    "C=",
    "f|force",
    "d|detach",
    "q|quiet",
    "discard-changes",
  ]);
  const created = options.value("create") ?? options.value("C");
  const [first] = options.rest;
  if (created !== undefined) {
    return switched(repository, created, { create: true, start: first, force: options.has("C") });
  }
  if (first === undefined) throw new GitExit("fatal: missing branch or commit argument");
  if ((await targetOf(repository, first)) === null) {
    throw new GitExit(`fatal: invalid reference: ${first}`);
  }
  return switched(repository, first, {
    force: options.has("force") || options.has("discard-changes"),
  });
}

/** A commit, or a branch that only the remote has so far. */
async function targetOf(repository: Repository, name: string): Promise<string | null> {
  return (await repository.find(name)) ?? (await repository.find(`refs/remotes/origin/${name}`));
}

interface Switch {
  create?: boolean;
  start?: string | undefined;
  force?: boolean;
}

async function switched(
  repository: Repository,
  name: string,
  { create = false, start, force = false }: Switch,
): Promise<string> {
  const { git, at } = repository;
  if (create) {
    if ((await repository.head()) === null) {
      await git.writeRef({
        ...at,
        ref: "HEAD",
        value: `refs/heads/${name}`,
        symbolic: true,
        force: true,
      });
      return `Switched to a new branch '${name}'\n`;
    }
    await newBranch(repository, name, start, force);
    if (start === undefined) {
      // The files stay as they are, with all that was changed in them.
      await git.writeRef({
        ...at,
        ref: "HEAD",
        value: `refs/heads/${name}`,
        symbolic: true,
        force: true,
      });
      return `Switched to a new branch '${name}'\n`;
    }
  }
  const known = await git.listBranches(at);
  const isBranch = known.includes(name);
  if (isBranch && name === (await repository.branch()) && !force) return `Already on '${name}'\n`;
  const onlyRemote = !isBranch && (await repository.find(name)) === null;
  const ref = isBranch || onlyRemote ? name : await repository.resolve(name);
  try {
    await git.checkout({ ...at, ref, force });
  } catch (error) {
    throw conflictOf(error) ?? error;
  }
  if (create) return `Switched to a new branch '${name}'\n`;
  if (isBranch) return `Switched to branch '${name}'\n`;
  if (onlyRemote) {
    return `branch '${name}' set up to track 'origin/${name}'.\nSwitched to a new branch '${name}'\n`;
  }
  const { commit } = await repository.commit(ref);
  return `Note: switching to '${name}'.\n\nHEAD is now at ${shortId(ref)} ${firstLine(commit.message)}\n`;
}

function conflictOf(error: unknown): GitExit | null {
  const files = dataOf(error, "CheckoutConflictError")?.filepaths;
  if (!Array.isArray(files)) return null;
  const list = files.map((file) => `\t${file}`).join("\n");
  return new GitExit(
    `error: Your local changes to the following files would be overwritten by checkout:\n${list}\nPlease commit your changes or stash them before you switch branches.\nAborting`,
    1,
  );
}

/** What an error of the library says, if it is of that kind. */
function dataOf(error: unknown, code: string): Record<string, unknown> | null {
  if (!(error instanceof Error) || !("code" in error) || error.code !== code) return null;
  const data: unknown = "data" in error ? error.data : null;
  return typeof data === "object" && data !== null ? { ...data } : null;
}

export async function merge(repository: Repository, args: readonly string[]): Promise<string> {
  const options = parseArguments(args, [
    "no-ff",
    "ff-only",
    "m|message=",
    "no-edit",
    "abort",
    "q|quiet",
  ]);
  const { git, at } = repository;
  if (options.has("abort")) {
    await git.abortMerge({ ...at });
    await endMerge(repository);
    return "";
  }
  const [theirs] = options.rest;
  if (theirs === undefined) throw new GitExit("fatal: No remote for the current branch.");
  return mergeInto(repository, theirs, {
    fastForward: !options.has("no-ff"),
    fastForwardOnly: options.has("ff-only"),
    ...(options.value("message") === undefined ? {} : { message: `${options.value("message")}\n` }),
  });
}

export async function mergeInto(
  repository: Repository,
  theirs: string,
  how: { fastForward?: boolean; fastForwardOnly?: boolean; message?: string } = {},
): Promise<string> {
  const { git, at } = repository;
  const before = await repository.head();
  const ours = await repository.branch();
  if (ours === null) throw new GitExit("fatal: You are not on a branch.");
  await repository.resolve(theirs);
  const author = await repository.person("AUTHOR");
  try {
    const merged = await git.merge({
      ...at,
      ours,
      theirs,
      author,
      committer: await repository.person("COMMITTER"),
      abortOnConflict: false,
      ...how,
    });
    if (merged.alreadyMerged) return "Already up to date.\n";
    await git.checkout({ ...at, ref: ours });
    const to = merged.oid ?? "";
    return merged.fastForward
      ? `Updating ${shortId(before ?? "")}..${shortId(to)}\nFast-forward\n`
      : "Merge made by the 'ort' strategy.\n";
  } catch (error) {
    const files = dataOf(error, "MergeConflictError")?.filepaths;
    if (!Array.isArray(files)) throw error;
    await beginMerge(repository, await repository.resolve(theirs));
    const list = files.map((file) => `CONFLICT (content): Merge conflict in ${file}`).join("\n");
    throw new GitExit(
      `${list}\nAutomatic merge failed; fix conflicts and then commit the result.`,
      1,
    );
  }
}

export async function tag(repository: Repository, args: readonly string[]): Promise<string> {
  const options = parseArguments(args, [
    "l|list",
    "d|delete",
    "a|annotate",
    "m|message=",
    "f|force",
    "n",
  ]);
  const { git, at } = repository;
  const [name, revision = "HEAD"] = options.rest;
  if (name === undefined || options.has("list")) {
    return (await git.listTags(at)).map((one) => `${one}\n`).join("");
  }
  if (options.has("delete")) {
    await git.deleteTag({ ...at, ref: name });
    return `Deleted tag '${name}'\n`;
  }
  const object = await repository.resolve(revision);
  const force = options.has("force");
  if ((await git.listTags(at)).includes(name) && !force) {
    throw new GitExit(`fatal: tag '${name}' already exists`);
  }
  const message = options.value("message");
  if (message === undefined) await git.tag({ ...at, ref: name, object, force });
  else {
    const tagger = await repository.person("COMMITTER");
    await git.annotatedTag({ ...at, ref: name, object, message: `${message}\n`, tagger, force });
  }
  return "";
}

const STASH = ["push", "pop", "apply", "drop", "list", "clear"] as const;

export async function stash(repository: Repository, args: readonly string[]): Promise<string> {
  const [given = "push", ...others] = args;
  const op = STASH.find((one) => one === given) ?? (given.startsWith("-") ? "push" : undefined);
  if (op === undefined) throw new GitExit(`error: unknown subcommand: ${given}`, 129);
  const options = parseArguments(given.startsWith("-") ? args : others, ["m|message=", "q|quiet"]);
  const message = options.value("message");
  const refIdx = Number(/\d+/.exec(options.rest[0] ?? "")?.[0] ?? 0);
  await stashAuthor(repository);
  const answer: unknown = await repository.git.stash({
    ...repository.at,
    op,
    refIdx,
    ...(message === undefined ? {} : { message }),
  });
  if (op === "push") return "Saved working directory and index state\n";
  if (op !== "list" || !Array.isArray(answer)) return "";
  return answer.map((line) => `${line}\n`).join("");
}

/** The library takes the author of a stash from the repository's own configuration only. */
async function stashAuthor(repository: Repository): Promise<void> {
  const { git, at } = repository;
  if ((await git.getConfig({ ...at, path: "user.name" })) !== undefined) return;
  const { name, email } = await repository.person("AUTHOR");
  await git.setConfig({ ...at, path: "user.name", value: name });
  await git.setConfig({ ...at, path: "user.email", value: email });
}
