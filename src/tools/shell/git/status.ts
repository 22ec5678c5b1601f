/** `git status`, and what has changed where. */
import type { StatusRow } from "isomorphic-git";
import { parseArguments } from "./arguments.ts";
import { isBelow, type Repository } from "./repository.ts";

export interface FileStatus {
  path: string;
  /** What the next commit changes. */
  staged: " " | "A" | "M" | "D" | "?";
  /** What the files have beyond that. */
  unstaged: " " | "M" | "D" | "?";
}

/** All files that are not as in the last commit, by path. */
export async function statusOf(
  repository: Repository,
  paths: readonly string[] = [],
): Promise<FileStatus[]> {
  const { git, at } = repository;
  const filepaths = paths.length > 0 && !paths.includes(".") ? { filepaths: [...paths] } : {};
  const rows = await git.statusMatrix({ ...at, ...filepaths });
  return rows
    .map(statusOfRow)
    .filter(({ staged, unstaged }) => staged !== " " || unstaged !== " ")
    .sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** Of a row's numbers: 0 is absent, 1 as in HEAD, 2 as in the folder, 3 unlike both. */
function statusOfRow([path, head, folder, stage]: StatusRow): FileStatus {
  if (head === 0 && stage === 0) return { path, staged: "?", unstaged: "?" };
  const staged = stage === 0 ? "D" : head === 0 ? "A" : stage === 1 ? " " : "M";
  if (stage === 0) {
    return { path, staged, unstaged: folder === 0 ? " " : "?" };
  }
  const unstaged =
    folder === 0
      ? "D"
      : folder === 2 && stage !== 2
        ? "M"
        : folder === 1 && stage !== 1
          ? "M"
          : " ";
  return { path, staged, unstaged };
}

export async function status(repository: Repository, args: readonly string[]): Promise<string> {
  const options = parseArguments(args, [
    "s|short",
    "b|branch",
    "porcelain",
    "long",
    "v|verbose",
    "u|untracked-files",
    "ignored",
    "z",
  ]);
  const paths = repository.paths([...options.rest, ...(options.paths ?? [])]);
  const files = await statusOf(repository, paths);
  const untracked = await untrackedNames(repository, files);
  const branch = await repository.branch();
  if (options.has("short") || options.has("porcelain")) {
    const lines = files
      .filter(({ staged }) => staged !== "?")
      .map(
        ({ path, staged, unstaged }) => `${staged}${unstaged === "?" ? " " : unstaged} ${path}\n`,
      );
    const first = options.has("branch") ? [`## ${branch ?? "HEAD (no branch)"}\n`] : [];
    return [...first, ...lines, ...untracked.map((path) => `?? ${path}\n`)].join("");
  }
  return longStatus(repository, branch, files, untracked);
}

const WORDS: Readonly<Record<string, string>> = {
  A: "new file:   ",
  M: "modified:   ",
  D: "deleted:    ",
};

async function longStatus(
  repository: Repository,
  branch: string | null,
  files: readonly FileStatus[],
  untracked: readonly string[],
): Promise<string> {
  const head = await repository.head();
  const lines = [branch ? `On branch ${branch}` : `HEAD detached at ${head?.slice(0, 7)}`];
  if (head === null) lines.push("", "No commits yet");
  const section = (title: string, hint: string, entries: readonly string[]): void => {
    if (entries.length === 0) return;
    if (lines.length > 1) lines.push("");
    lines.push(title, `  (${hint})`, ...entries.map((entry) => `\t${entry}`));
  };
  const staged = files.filter((file) => WORDS[file.staged] !== undefined);
  const unstaged = files.filter((file) => WORDS[file.unstaged] !== undefined);
  section(
    "Changes to be committed:",
    'use "git restore --staged <file>..." to unstage',
    staged.map((file) => `${WORDS[file.staged]}${file.path}`),
  );
  section(
    "Changes not staged for commit:",
    'use "git add <file>..." to update what will be committed',
    unstaged.map((file) => `${WORDS[file.unstaged]}${file.path}`),
  );
  section(
    "Untracked files:",
    'use "git add <file>..." to include in what will be committed',
    untracked,
  );
  if (staged.length === 0)
    lines.push(...(lines.length > 1 ? [""] : []), nothing(unstaged, untracked));
  return `${lines.join("\n")}\n`;
}

function nothing(unstaged: readonly unknown[], untracked: readonly unknown[]): string {
  if (unstaged.length > 0) {
    return 'no changes added to commit (use "git add" and/or "git commit -a")';
  }
  return untracked.length > 0
    ? 'nothing added to commit but untracked files present (use "git add" to track)'
    : "nothing to commit, working tree clean";
}

/** Folders of which git knows nothing stand for all that is in them. */
async function untrackedNames(
  { git, at }: Repository,
  files: readonly FileStatus[],
): Promise<string[]> {
  const unknown = files.filter(({ staged, unstaged }) => staged === "?" || unstaged === "?");
  if (unknown.length === 0) return [];
  const tracked = await git.listFiles(at);
  const names = unknown.map(({ path }) => {
    const parts = path.split("/");
    for (let n = 1; n < parts.length; n++) {
      const folder = parts.slice(0, n).join("/");
      if (!tracked.some((one) => isBelow(one, [folder]))) return `${folder}/`;
    }
    return path;
  });
  return [...new Set(names)];
}
