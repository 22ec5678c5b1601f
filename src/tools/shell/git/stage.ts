/** What goes into the next commit: `add`, `rm`, `mv`, `restore`, `reset`, `commit`. */
import { GitExit, parseArguments } from "./arguments.ts";
import { changesBetween, summaryText } from "./changes.ts";
import { endMerge, mergeHead } from "./merging.ts";
import { isBelow, type Person, type Repository, shortId } from "./repository.ts";
import { type FileStatus, status, statusOf } from "./status.ts";

export async function add(repository: Repository, args: readonly string[]): Promise<string> {
  const options = parseArguments(args, ["A|all", "u|update", "f|force", "v|verbose", "n|dry-run"]);
  const given = [...options.rest, ...(options.paths ?? [])];
  if (given.length === 0 && !options.has("all") && !options.has("update")) {
    return "Nothing specified, nothing added.\n";
  }
  const paths = repository.paths(given);
  const changed = await statusOf(repository, paths);
  for (const [i, path] of paths.entries()) await checkPathspec(repository, path, given[i] ?? path);
  const wanted = changed.filter(({ path, staged }) => {
    return isBelow(path, paths) && !(options.has("update") && staged === "?");
  });
  const shown = wanted.map(
    ({ path, unstaged }) => `${unstaged === "D" ? "remove" : "add"} '${path}'\n`,
  );
  if (!options.has("dry-run")) {
    await stageAll(repository, wanted);
    if (options.has("force")) await addForced(repository, paths);
  }
  return options.has("verbose") || options.has("dry-run") ? shown.join("") : "";
}

/** Puts files as they are into the index. */
async function stageAll({ git, at }: Repository, files: readonly FileStatus[]): Promise<void> {
  const gone = files.filter(({ unstaged }) => unstaged === "D").map(({ path }) => path);
  const there = files
    .filter(({ unstaged }) => unstaged === "M" || unstaged === "?")
    .map(({ path }) => path);
  if (there.length > 0) await git.add({ ...at, filepath: there, parallel: false });
  for (const filepath of gone) await git.remove({ ...at, filepath });
}

async function addForced({ git, at }: Repository, paths: readonly string[]): Promise<void> {
  if (paths.length > 0)
    await git.add({ ...at, filepath: [...paths], force: true, parallel: false });
}

async function checkPathspec({ git, at }: Repository, path: string, given: string): Promise<void> {
  if (path === ".") return;
  const there = await exists(at, path);
  const tracked = await git.listFiles(at);
  if (!there && !tracked.some((one) => isBelow(one, [path]))) {
    throw new GitExit(`fatal: pathspec '${given}' did not match any files`);
  }
}

async function exists(
  { fs, dir }: Pick<Repository["at"], "fs" | "dir">,
  path: string,
  type: "any" | "directory" = "any",
): Promise<boolean> {
  try {
    const found = await promises(fs).lstat(`${dir}/${path}`);
    return type === "any" || found.isDirectory();
  } catch {
    return false;
  }
}

/** The files themselves. */
export const promises = (fs: Repository["at"]["fs"]): Repository["at"]["fs"]["promises"] =>
  fs.promises;

export async function remove(repository: Repository, args: readonly string[]): Promise<string> {
  const options = parseArguments(args, ["r", "f|force", "cached", "q|quiet"]);
  const { git, at } = repository;
  const given = [...options.rest, ...(options.paths ?? [])];
  if (given.length === 0)
    throw new GitExit("fatal: No pathspec was given. Which files should I remove?");
  const tracked = await git.listFiles(at);
  const removed: string[] = [];
  for (const one of given) {
    const path = repository.path(one);
    const below = tracked.filter((file) => isBelow(file, [path]));
    if (below.length === 0) throw new GitExit(`fatal: pathspec '${one}' did not match any files`);
    if (!options.has("r") && !below.includes(path)) {
      throw new GitExit(`fatal: not removing '${one}' recursively without -r`);
    }
    removed.push(...below);
  }
  for (const filepath of removed) {
    await git.remove({ ...at, filepath });
    if (!options.has("cached") && (await exists(at, filepath))) {
      await promises(at.fs).unlink(`${at.dir}/${filepath}`);
    }
  }
  return options.has("quiet") ? "" : removed.map((path) => `rm '${path}'\n`).join("");
}

export async function move(repository: Repository, args: readonly string[]): Promise<string> {
  const options = parseArguments(args, ["f|force", "k", "v|verbose"]);
  const { git, at } = repository;
  const [target, ...sources] = [...options.rest, ...(options.paths ?? [])].reverse();
  if (target === undefined || sources.length === 0) {
    throw new GitExit("usage: git mv <source>... <destination>", 129);
  }
  const tracked = await git.listFiles(at);
  const folder = await exists(at, repository.path(target), "directory");
  for (const source of sources.reverse()) {
    const from = repository.path(source);
    const files = tracked.filter((file) => isBelow(file, [from]));
    if (files.length === 0) throw new GitExit(`fatal: bad source, source=${source}`);
    const into = repository.path(target);
    const to = folder ? `${into === "." ? "" : `${into}/`}${from.split("/").pop()}` : into;
    for (const file of files) {
      const path = to + file.slice(from.length);
      await makeFolders(at, path);
      await promises(at.fs).rename(`${at.dir}/${file}`, `${at.dir}/${path}`);
      await git.remove({ ...at, filepath: file });
      await git.add({ ...at, filepath: path });
    }
  }
  return "";
}

export async function restore(repository: Repository, args: readonly string[]): Promise<string> {
  const options = parseArguments(args, ["S|staged", "W|worktree", "s|source=", "q|quiet"]);
  const given = [...options.rest, ...(options.paths ?? [])];
  if (given.length === 0) throw new GitExit("fatal: you must specify path(s) to restore");
  const source = options.value("source");
  const paths = repository.paths(given);
  if (options.has("staged")) await unstage(repository, paths, source ?? "HEAD");
  if (!options.has("staged") || options.has("worktree")) {
    await restoreFiles(repository, paths, source ?? null);
  }
  return "";
}

/** Brings files back as they are in a commit, or in the index. */
export async function restoreFiles(
  repository: Repository,
  paths: readonly string[],
  source: string | null,
): Promise<number> {
  const { git, at } = repository;
  const from = source === null ? "index" : { commit: await repository.resolve(source) };
  const changes = await changesBetween(repository, from, "files", paths);
  const tracked = await git.listFiles(at);
  for (const path of paths) {
    if (path === "." || changes.some((one) => isBelow(one.path, [path]))) continue;
    if (!tracked.some((one) => isBelow(one, [path]))) {
      throw new GitExit(`error: pathspec '${path}' did not match any file(s) known to git`, 1);
    }
  }
  for (const { path, before } of changes) {
    const file = `${at.dir}/${path}`;
    if (!before) {
      await promises(at.fs).unlink(file);
      if (source !== null) await git.remove({ ...at, filepath: path });
      continue;
    }
    await makeFolders(at, path);
    const mode = before.mode & 0o111 ? { mode: 0o777 } : {};
    await promises(at.fs).writeFile(file, before.content, mode);
    if (source !== null) await git.add({ ...at, filepath: path });
  }
  return changes.length;
}

async function makeFolders({ fs, dir }: Repository["at"], path: string): Promise<void> {
  const names = path.split("/").slice(0, -1);
  for (let n = 1; n <= names.length; n++) {
    const folder = names.slice(0, n).join("/");
    if (!(await exists({ fs, dir }, folder))) await promises(fs).mkdir(`${dir}/${folder}`);
  }
}

async function unstage(
  repository: Repository,
  paths: readonly string[],
  source: string,
): Promise<void> {
  const { git, at } = repository;
  const commit = await repository.find(source);
  const from = commit === null ? "empty" : { commit };
  for (const { path } of await changesBetween(repository, from, "index", paths)) {
    if (commit === null) await git.remove({ ...at, filepath: path });
    else await git.resetIndex({ ...at, filepath: path, ref: commit });
  }
}

export async function reset(repository: Repository, args: readonly string[]): Promise<string> {
  const options = parseArguments(args, ["soft", "mixed", "hard", "q|quiet"]);
  const [first, ...others] = options.rest;
  const target = first === undefined ? null : await repository.find(first);
  const named = target === null ? options.rest : others;
  const paths = repository.paths([...named, ...(options.paths ?? [])]);
  if (first !== undefined && target === null && options.paths === null) {
    for (const path of paths) await checkPathspec(repository, path, path);
  }
  if (paths.length > 0) {
    await unstage(repository, paths, target ?? "HEAD");
    return "";
  }
  const commit = target ?? (await repository.resolve("HEAD"));
  // The files that are tracked now go away where the commit does not have them.
  const changes = options.has("hard") ? await changesBetween(repository, { commit }, "files") : [];
  await moveHead(repository, commit);
  await endMerge(repository);
  if (options.has("soft")) return "";
  await unstage(repository, [], commit);
  if (!options.has("hard")) return "";
  if (changes.length > 0) await restoreFiles(repository, [], commit);
  for (const { path, before } of changes) {
    if (!before && (await exists(repository.at, path))) {
      await promises(repository.at.fs).unlink(`${repository.dir}/${path}`);
    }
  }
  const { commit: now } = await repository.commit(commit);
  return `HEAD is now at ${shortId(commit)} ${firstLine(now.message)}\n`;
}

async function moveHead({ git, at }: Repository, commit: string): Promise<void> {
  const branch = await git.currentBranch({ ...at, fullname: true });
  await git.writeRef({ ...at, ref: branch ?? "HEAD", value: commit, force: true });
}

export async function commit(repository: Repository, args: readonly string[]): Promise<string> {
  const options = parseArguments(args, [
    "m|message=",
    "a|all",
    "amend",
    "no-edit",
    "allow-empty",
    "allow-empty-message",
    "author=",
    "F|file=",
    "q|quiet",
    "no-verify",
    "n",
    "s|signoff",
    "no-gpg-sign",
  ]);
  const { git, at } = repository;
  if (options.has("all")) {
    const changed = await statusOf(repository);
    await stageAll(
      repository,
      changed.filter(({ staged }) => staged !== "?"),
    );
  }
  const named = repository.paths([...options.rest, ...(options.paths ?? [])]);
  if (named.length > 0) await stageAll(repository, await statusOf(repository, named));
  const head = await repository.head();
  const amend = options.has("amend");
  if (amend && head === null) throw new GitExit("fatal: You have nothing yet to amend.");
  const last = head === null ? null : (await repository.commit(head)).commit;
  const before = amend ? (last?.parent[0] ?? null) : head;
  const from = before === null ? "empty" : { commit: before };
  const changes = await changesBetween(repository, from, "index");
  const merging = await mergeHead(repository);
  if (changes.length === 0 && !amend && !merging && !options.has("allow-empty")) {
    throw new GitExit((await status(repository, [])).trimEnd(), 1);
  }
  const message = await messageOf(repository, options.values("message"), options.value("file"));
  const kept = amend ? last?.message : merging ? `Merge commit '${shortId(merging)}'\n` : undefined;
  const text = message ?? kept;
  if (text === undefined) {
    throw new GitExit("error: there is no editor here; give the message with -m", 1);
  }
  const author = personOf(options.value("author")) ?? (await repository.person("AUTHOR"));
  const committer = await repository.person("COMMITTER");
  const oid = await git.commit({
    ...at,
    message: options.has("signoff")
      ? `${text.trimEnd()}\n\nSigned-off-by: ${committer.name} <${committer.email}>\n`
      : text,
    amend,
    ...(amend && !options.has("author") ? {} : { author }),
    ...(merging && head ? { parent: [head, merging] } : {}),
    committer,
  });
  await endMerge(repository);
  if (options.has("quiet")) return "";
  const branch = (await repository.branch()) ?? "detached HEAD";
  const root = before === null ? " (root-commit)" : "";
  const summary = changes.length > 0 ? summaryText(changes) : "";
  return `[${branch}${root} ${shortId(oid)}] ${firstLine(text)}\n${summary}`;
}

async function messageOf(
  { at }: Repository,
  messages: readonly string[],
  file: string | undefined,
): Promise<string | undefined> {
  if (messages.length > 0) return `${messages.join("\n\n").trimEnd()}\n`;
  if (file === undefined) return undefined;
  const path = file.startsWith("/") ? file : `${at.dir}/${file}`;
  return String(await promises(at.fs).readFile(path, "utf8"));
}

function personOf(text: string | undefined): Person | null {
  if (text === undefined) return null;
  const [, name, email] = /^(.*?)\s*<(.*)>$/.exec(text) ?? [];
  if (name === undefined || email === undefined) {
    throw new GitExit(`fatal: --author '${text}' is not 'Name <email>'`);
  }
  return { name, email };
}

export const firstLine = (message: string): string => message.split("\n")[0] ?? "";
