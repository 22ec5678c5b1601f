/** What was committed: `log`, `show`, `diff`. */
import { Buffer } from "node:buffer";
import type { ReadCommitResult } from "isomorphic-git";
import { type Arguments, GitExit, parseArguments } from "./arguments.ts";
import {
  type Change,
  changesBetween,
  patchText,
  type State,
  statText,
  statusLetter,
} from "./changes.ts";
import { type Repository, shortId } from "./repository.ts";
import { firstLine } from "./stage.ts";

const SHAPES = [
  "stat",
  "name-only",
  "name-status",
  "p|patch",
  "u",
  "no-color",
  "color",
  "s|no-patch",
];

/** Changes in the form that was asked for. */
function shaped(options: Arguments, changes: readonly Change[]): string {
  if (options.has("stat")) return statText(changes);
  if (options.has("name-only")) return changes.map(({ path }) => `${path}\n`).join("");
  if (options.has("name-status")) {
    return changes.map((one) => `${statusLetter(one)}\t${one.path}\n`).join("");
  }
  return patchText(changes);
}

export async function diff(repository: Repository, args: readonly string[]): Promise<string> {
  const options = parseArguments(args, [
    ...SHAPES,
    "staged",
    "cached",
    "U|unified=",
    "w|ignore-all-space",
    "quiet",
    "exit-code",
    "no-ext-diff",
    "no-pager",
  ]);
  const { revisions, paths } = await split(repository, options);
  const [first, second] = revisions;
  const staged = options.has("staged") || options.has("cached");
  let from: State = "index";
  let to: State = "files";
  if (staged) {
    const commit = first ?? (await repository.head());
    from = commit === null || commit === undefined ? "empty" : { commit };
    to = "index";
  } else if (first !== undefined) {
    from = { commit: first };
    to = second === undefined ? "files" : { commit: second };
  }
  return shaped(options, await changesBetween(repository, from, to, paths));
}

/** Arguments are revisions as long as they mean commits, and paths from then on. */
async function split(
  repository: Repository,
  { rest, paths: behind }: Arguments,
): Promise<{ revisions: string[]; paths: string[] }> {
  const revisions: string[] = [];
  const queue = [...rest];
  while (queue.length > 0) {
    const text = queue[0] ?? "";
    const [left, right] = text.split(/\.\.\.?/);
    if (right !== undefined && left !== undefined) {
      revisions.push(await repository.resolve(left), await repository.resolve(right));
    } else {
      const oid = await repository.find(text);
      if (oid === null) break;
      revisions.push(oid);
    }
    queue.shift();
  }
  const [unknown] = queue;
  if (unknown !== undefined && behind !== null) await repository.resolve(unknown);
  return { revisions, paths: repository.paths([...queue, ...(behind ?? [])]) };
}

export async function log(repository: Repository, args: readonly string[]): Promise<string> {
  const options = parseArguments(args, [
    ...SHAPES,
    "n|max-count=",
    "oneline",
    "format=",
    "pretty=",
    "abbrev-commit",
    "decorate",
    "no-decorate",
    "all",
    "graph",
    "no-merges",
    "reverse",
    "author=",
    "grep=",
    "follow",
  ]);
  if ((await repository.head()) === null) {
    const branch = await repository.branch();
    throw new GitExit(`fatal: your current branch '${branch}' does not have any commits yet`);
  }
  const [range] = options.rest;
  const [, left, right] = /^(.*?)\.\.\.?(.*)$/.exec(range ?? "") ?? [];
  const isRange = left !== undefined && right !== undefined;
  const { revisions, paths } = isRange
    ? { revisions: [await repository.resolve(right)], paths: repository.paths(options.paths ?? []) }
    : await split(repository, options);
  const start = revisions[0] ?? (await repository.resolve("HEAD"));
  const hidden = isRange ? await ancestors(repository, await repository.resolve(left)) : null;
  const most = Number(options.value("max-count") ?? Number.POSITIVE_INFINITY);
  const names = await refNames(repository);
  const texts: string[] = [];
  const [author, grep] = [options.value("author"), options.value("grep")];
  const filtered = paths.length > 0 || hidden || author || grep || options.has("no-merges");
  const depth = filtered || !Number.isFinite(most) ? {} : { depth: most };
  for (const entry of await repository.git.log({ ...repository.at, ref: start, ...depth })) {
    if (texts.length >= most) break;
    const { oid, commit } = entry;
    if (hidden?.has(oid) || (options.has("no-merges") && commit.parent.length > 1)) continue;
    if (author && !`${commit.author.name} <${commit.author.email}>`.includes(author)) continue;
    if (grep && !commit.message.includes(grep)) continue;
    const detailed = ["stat", "name-only", "name-status", "patch", "u"].some(options.has);
    const changes = detailed || paths.length > 0 ? await changesOf(repository, entry, paths) : [];
    if (paths.length > 0 && changes.length === 0) continue;
    const head = headText(entry, options, names);
    texts.push(detailed ? `${head}\n${shaped(options, changes)}` : head);
  }
  if (options.has("reverse")) texts.reverse();
  const compact = options.has("oneline") || formatOf(options) !== null;
  return texts.join(compact ? "" : "\n");
}

/** What a commit has changed against its first parent. */
async function changesOf(
  repository: Repository,
  { oid, commit }: ReadCommitResult,
  paths: readonly string[],
): Promise<Change[]> {
  const [first] = commit.parent;
  const parent = first === undefined ? null : await repository.find(first);
  return changesBetween(repository, parent ? { commit: parent } : "empty", { commit: oid }, paths);
}

async function ancestors({ git, at }: Repository, oid: string): Promise<Set<string>> {
  return new Set((await git.log({ ...at, ref: oid })).map((entry) => entry.oid));
}

/** What points at a commit, as `git log` shows it. */
async function refNames(repository: Repository): Promise<Map<string, string[]>> {
  const { git, at } = repository;
  const names = new Map<string, string[]>();
  const note = async (ref: string, name: string): Promise<void> => {
    const oid = await repository.find(ref);
    if (oid !== null) names.set(oid, [...(names.get(oid) ?? []), name]);
  };
  const current = await repository.branch();
  await note("HEAD", current === null ? "HEAD" : `HEAD -> ${current}`);
  for (const branch of await git.listBranches(at)) {
    if (branch !== current) await note(`refs/heads/${branch}`, branch);
  }
  for (const tag of await git.listTags(at)) await note(`refs/tags/${tag}`, `tag: ${tag}`);
  for (const { remote } of await git.listRemotes(at)) {
    for (const branch of await git.listBranches({ ...at, remote })) {
      await note(`refs/remotes/${remote}/${branch}`, `${remote}/${branch}`);
    }
  }
  return names;
}

function formatOf(options: Arguments): string | null {
  const text = options.value("format") ?? options.value("pretty");
  if (text === undefined || ["medium", "full", "short"].includes(text)) return null;
  if (text === "oneline") return "%H %s";
  return text.replace(/^t?format:/, "");
}

function headText(
  { oid, commit }: ReadCommitResult,
  options: Arguments,
  names: ReadonlyMap<string, string[]>,
): string {
  const refs = options.has("no-decorate") ? [] : (names.get(oid) ?? []);
  const decoration = refs.length > 0 ? ` (${refs.join(", ")})` : "";
  const format = formatOf(options);
  if (format !== null) return `${formatted(format, { oid, commit }, refs)}\n`;
  if (options.has("oneline")) {
    return `${shortId(oid)}${decoration} ${firstLine(commit.message)}\n`;
  }
  const { author, message, parent } = commit;
  const id = options.has("abbrev-commit") ? shortId(oid) : oid;
  return [
    `commit ${id}${decoration}`,
    ...(parent.length > 1 ? [`Merge: ${parent.map(shortId).join(" ")}`] : []),
    `Author: ${author.name} <${author.email}>`,
    `Date:   ${gitDate(author)}`,
    "",
    ...message
      .trimEnd()
      .split("\n")
      .map((line) => (line === "" ? "" : `    ${line}`)),
    "",
  ].join("\n");
}

type Signature = ReadCommitResult["commit"]["author"];

/** In the zone of the person who made it. */
const localTime = ({ timestamp, timezoneOffset }: Signature): Date =>
  new Date((timestamp - timezoneOffset * 60) * 1000);

function zone({ timezoneOffset }: Signature): string {
  const minutes = Math.abs(timezoneOffset);
  const two = (n: number) => String(n).padStart(2, "0");
  return `${timezoneOffset > 0 ? "-" : "+"}${two(Math.floor(minutes / 60))}${two(minutes % 60)}`;
}

/** `Fri Nov 20 08:58:05 2026 +0000` */
function gitDate(signature: Signature): string {
  const [day = "", date, month, year, time] = localTime(signature).toUTCString().split(" ");
  return `${day.slice(0, 3)} ${month} ${Number(date)} ${time} ${year} ${zone(signature)}`;
}

const isoDate = (signature: Signature): string =>
  `${localTime(signature).toISOString().slice(0, 19).replace("T", " ")} ${zone(signature)}`;

function formatted(
  format: string,
  { oid, commit }: Pick<ReadCommitResult, "oid" | "commit">,
  refs: readonly string[],
): string {
  const { author, committer, message, parent, tree } = commit;
  const values: Readonly<Record<string, string>> = {
    H: oid,
    h: shortId(oid),
    T: tree,
    t: shortId(tree),
    P: parent.join(" "),
    p: parent.map(shortId).join(" "),
    s: firstLine(message),
    b: message.split("\n").slice(2).join("\n"),
    B: message,
    an: author.name,
    ae: author.email,
    ad: gitDate(author),
    ai: isoDate(author),
    as: isoDate(author).slice(0, 10),
    at: String(author.timestamp),
    ar: isoDate(author),
    cn: committer.name,
    ce: committer.email,
    cd: gitDate(committer),
    ci: isoDate(committer),
    cs: isoDate(committer).slice(0, 10),
    ct: String(committer.timestamp),
    d: refs.length > 0 ? ` (${refs.join(", ")})` : "",
    D: refs.join(", "),
    n: "\n",
    "%": "%",
  };
  return format.replace(
    /%(C\([^)]*\)|C(?:red|green|blue|reset)|[ac][a-z]|[A-Za-z%])/g,
    (all, name) => (String(name).startsWith("C") ? "" : (values[String(name)] ?? all)),
  );
}

export async function show(repository: Repository, args: readonly string[]): Promise<string> {
  const options = parseArguments(args, [
    ...SHAPES,
    "oneline",
    "format=",
    "pretty=",
    "abbrev-commit",
    "no-decorate",
  ]);
  const [revision = "HEAD"] = options.rest;
  const colon = revision.indexOf(":");
  if (colon >= 0) return fileAt(repository, revision.slice(0, colon), revision.slice(colon + 1));
  const entry = await repository.commit(await repository.resolve(revision));
  const paths = repository.paths([...options.rest.slice(1), ...(options.paths ?? [])]);
  const head = headText(entry, options, await refNames(repository));
  if (options.has("no-patch")) return head;
  return `${head}\n${shaped(options, await changesOf(repository, entry, paths))}`;
}

/** `git show <commit>:<path>`; without a commit it is the index. */
async function fileAt(repository: Repository, revision: string, path: string): Promise<string> {
  const { git, at } = repository;
  const oid = await repository.resolve(revision);
  try {
    const { blob } = await git.readBlob({ ...at, oid, filepath: path.replace(/^\.\//, "") });
    return Buffer.from(blob).toString("utf8");
  } catch {
    throw new GitExit(`fatal: path '${path}' does not exist in '${revision}'`);
  }
}
