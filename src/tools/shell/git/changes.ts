/** What differs between two states of a repository, and how that is shown. */
import { Buffer } from "node:buffer";
import type { WalkerEntry } from "isomorphic-git";
import { hunksBetween, unifiedLines } from "../text-diff.ts";
import { GitExit } from "./arguments.ts";
import { isBelow, type Repository, shortId } from "./repository.ts";

/** A commit, the index, or the files themselves. */
export type State = { commit: string } | "empty" | "index" | "files";

interface Side {
  oid: string;
  mode: number;
  content: Uint8Array;
}

export interface Change {
  path: string;
  before: Side | null;
  after: Side | null;
}

/** Bytes of changed files that one command compares. */
const MAX_BYTES = 24 * 1024 * 1024;
const MODES: Readonly<Record<string, number>> = { blob: 0o100644, commit: 0o160000 };

/** The changed files from one state to another, by path. */
export async function changesBetween(
  repository: Repository,
  from: State,
  to: State,
  paths: readonly string[] = [],
): Promise<Change[]> {
  const { git, at } = repository;
  const walker = (state: State) =>
    state === "files"
      ? git.WORKDIR()
      : state === "index"
        ? git.STAGE()
        : git.TREE({ ref: refOf(state) });
  const left = from === "empty" ? null : walker(from);
  const right = to === "empty" ? null : walker(to);
  const trees = [left, right].filter((one) => one !== null);
  if (trees.length === 0) return [];
  // A file that git does not know is no change of the files.
  const known = to === "files" ? new Set(await git.listFiles(at)) : null;
  const folders = known && new Set([...known].flatMap(foldersOf));
  let bytes = 0;
  const found: Change[] = await git.walk({
    ...at,
    trees,
    map: async (path, entries) => {
      const [first, second] = left === null ? [null, entries?.[0]] : [entries?.[0], entries?.[1]];
      const before = first ?? null;
      const after = right === null ? null : (second ?? null);
      if (path === ".") return undefined;
      if (!before && known && !known.has(path) && !folders?.has(path)) return null;
      if (!isOnTheWay(path, paths)) return null;
      const isFolder = [before, after].some((one) => one !== null);
      if (!isFolder) return null;
      const change = await changeOf(repository, path, before, after);
      if (!change || !isBelow(path, paths)) return undefined;
      bytes += (change.before?.content.length ?? 0) + (change.after?.content.length ?? 0);
      if (bytes > MAX_BYTES)
        throw new GitExit(`fatal: the changes are larger than ${MAX_BYTES} bytes`);
      return change;
    },
    reduce: async (parent: Change | undefined, children: (Change | Change[])[]) => {
      const below = children.flat();
      return parent ? [parent, ...below] : below;
    },
  });
  return (found ?? []).sort((a, b) => (a.path < b.path ? -1 : 1));
}

const refOf = (state: Exclude<State, "files" | "index">): string =>
  state === "empty" ? "HEAD" : state.commit;

const foldersOf = (path: string): string[] =>
  path
    .split("/")
    .slice(0, -1)
    .map((_, i, names) => names.slice(0, i + 1).join("/"));

const isOnTheWay = (path: string, asked: readonly string[]): boolean =>
  isBelow(path, asked) || asked.some((one) => one.startsWith(`${path}/`));

async function changeOf(
  repository: Repository,
  path: string,
  before: WalkerEntry | null,
  after: WalkerEntry | null,
): Promise<Change | null> {
  const [old, now] = [await fileOf(before), await fileOf(after)];
  if (!old && !now) return null;
  const [oldId, newId] = [await old?.oid(), await now?.oid()];
  const [oldMode, newMode] = [await modeOf(old), await modeOf(now)];
  if (oldId === newId && oldMode === newMode) return null;
  const side = async (entry: WalkerEntry | null, oid: string | undefined, mode: number) =>
    entry && oid !== undefined
      ? { oid, mode, content: await contentOf(repository, entry, oid) }
      : null;
  return {
    path,
    before: await side(old, oldId, oldMode),
    after: await side(now, newId, newMode),
  };
}

async function fileOf(entry: WalkerEntry | null): Promise<WalkerEntry | null> {
  return entry && (await entry.type()) === "blob" ? entry : null;
}

async function modeOf(entry: WalkerEntry | null): Promise<number> {
  if (!entry) return 0;
  return (await entry.mode()) || (MODES[await entry.type()] ?? 0);
}

/** The index has no contents of its own, only their ids. */
async function contentOf(
  { git, at }: Repository,
  entry: WalkerEntry,
  oid: string,
): Promise<Uint8Array> {
  const content = await entry.content().catch(() => undefined);
  return content ?? (await git.readBlob({ ...at, oid })).blob;
}

const isBinary = (content: Uint8Array): boolean => content.subarray(0, 8_000).includes(0);

const text = (side: Side | null): string =>
  side ? Buffer.from(side.content).toString("utf8") : "";

interface Hunks {
  /** Lines with their sign. */
  lines: string[];
  added: number;
  removed: number;
  binary: boolean;
}

function hunksOf({ before, after }: Change): Hunks {
  if ([before, after].some((side) => side && isBinary(side.content))) {
    return { lines: [], added: 0, removed: 0, binary: true };
  }
  const [old, now] = [text(before), text(after)];
  const hunks = hunksBetween(old, now);
  const lines = unifiedLines(hunks);
  const count = (sign: string) =>
    hunks.reduce((n, hunk) => n + hunk.lines.filter((line) => line.startsWith(sign)).length, 0);
  return { lines, added: count("+"), removed: count("-"), binary: false };
}

/** As `git diff` prints it. */
export const patchText = (changes: readonly Change[]): string => changes.map(patchOf).join("");

function patchOf(change: Change): string {
  const { path, before, after } = change;
  const lines = [`diff --git a/${path} b/${path}`];
  const mode = (side: Side) => side.mode.toString(8);
  if (!before && after) lines.push(`new file mode ${mode(after)}`);
  else if (before && !after) lines.push(`deleted file mode ${mode(before)}`);
  else if (before && after && before.mode !== after.mode) {
    lines.push(`old mode ${mode(before)}`, `new mode ${mode(after)}`);
  }
  if (before?.oid === after?.oid) return `${lines.join("\n")}\n`;
  const id = (side: Side | null) => shortId(side?.oid ?? "0".repeat(40));
  const same = before && after && before.mode === after.mode ? ` ${mode(after)}` : "";
  lines.push(`index ${id(before)}..${id(after)}${same}`);
  const hunks = hunksOf(change);
  const names = [before ? `a/${path}` : "/dev/null", after ? `b/${path}` : "/dev/null"];
  if (hunks.binary) lines.push(`Binary files ${names[0]} and ${names[1]} differ`);
  else if (hunks.lines.length > 0) lines.push(`--- ${names[0]}`, `+++ ${names[1]}`, ...hunks.lines);
  return `${lines.join("\n")}\n`;
}

/** As `git diff --name-status` and `--name-only` print it. */
export const statusLetter = ({ before, after }: Change): string =>
  !before ? "A" : !after ? "D" : "M";

const BAR = 40;

/** As `git diff --stat` prints it. */
export function statText(changes: readonly Change[]): string {
  if (changes.length === 0) return "";
  const rows = changes.map((change) => ({ path: change.path, ...hunksOf(change) }));
  const width = Math.max(...rows.map(({ path }) => path.length));
  const most = Math.max(...rows.map(({ added, removed }) => added + removed));
  const digits = String(most).length;
  const scale = most > BAR ? BAR / most : 1;
  const lines = rows.map(({ path, added, removed, binary }) => {
    const bar = "+".repeat(Math.ceil(added * scale)) + "-".repeat(Math.ceil(removed * scale));
    const count = binary ? "Bin" : String(added + removed).padStart(digits);
    return ` ${path.padEnd(width)} | ${count}${bar === "" ? "" : ` ${bar}`}\n`;
  });
  return lines.join("") + totalText(rows);
}

export const summaryText = (changes: readonly Change[]): string => totalText(changes.map(hunksOf));

function totalText(rows: readonly Pick<Hunks, "added" | "removed">[]): string {
  const added = rows.reduce((n, row) => n + row.added, 0);
  const removed = rows.reduce((n, row) => n + row.removed, 0);
  const parts = [` ${rows.length} file${rows.length === 1 ? "" : "s"} changed`];
  if (added > 0 || removed === 0) parts.push(`${added} insertion${added === 1 ? "" : "s"}(+)`);
  if (removed > 0 || added === 0) parts.push(`${removed} deletion${removed === 1 ? "" : "s"}(-)`);
  return `${parts.join(", ")}\n`;
}
