/** `tar`, with and without gzip. */
import { Buffer } from "node:buffer";
import { gunzipSync, gzipSync } from "node:zlib";
import type { CustomCommand, ExecResult, ResolvedCommandContext } from "just-bash";
import { type ParsedTarEntryWithData, packTar, type TarEntry, unpackTar } from "modern-tar";
import { wideMatcher } from "../glob-pattern.ts";
import { MAX_ARCHIVE } from "./limits.ts";
import { parseTar, type TarOptions } from "./tar-options.ts";

/** What ends the command with a message. */
class TarError extends Error {}

export const tarCommand: CustomCommand = {
  name: "tar",
  async execute(args, context) {
    const parsed = parseTar(args);
    if (!parsed.ok) return failed(parsed.message);
    try {
      return await run(parsed.options, context);
    } catch (error) {
      return failed(error instanceof Error ? error.message : "unknown error");
    }
  },
};

const failed = (message: string): ExecResult => ({
  stdout: "",
  stderr: `tar: ${message}\n`,
  exitCode: 2,
});

const done = (stdout: string, stderr = ""): ExecResult => ({ stdout, stderr, exitCode: 0 });

function run(options: TarOptions, context: ResolvedCommandContext): Promise<ExecResult> {
  const { fs, cwd } = context;
  const folder = options.directory === "" ? cwd : fs.resolvePath(cwd, options.directory);
  switch (options.mode) {
    case "create":
      return create(options, context, folder);
    case "extract":
      return extract(options, context, folder);
    case "list":
      return list(options, context);
  }
}

async function create(
  options: TarOptions,
  { fs, cwd }: ResolvedCommandContext,
  folder: string,
): Promise<ExecResult> {
  if (options.names.length === 0) {
    throw new TarError("Cowardly refusing to create an empty archive");
  }
  const target = options.file === "-" ? null : fs.resolvePath(cwd, options.file);
  const excluded = matcher(options.exclude);
  const entries: TarEntry[] = [];
  let size = 0;
  const add = async (name: string): Promise<void> => {
    const path = fs.resolvePath(folder, name);
    if (path === target || excluded(name)) return;
    const { isDirectory, isSymbolicLink, mode, mtime, size: bytes } = await fs.lstat(path);
    const header = { mode, mtime, size: 0 };
    if (isSymbolicLink) {
      entries.push({
        header: { ...header, name, type: "symlink", linkname: await fs.readlink(path) },
      });
    } else if (isDirectory) {
      entries.push({ header: { ...header, name: `${name}/`, type: "directory" } });
      for (const one of await fs.readdir(path)) await add(`${name}/${one}`);
    } else {
      size += bytes;
      if (size > MAX_ARCHIVE) throw tooLarge();
      const body = await fs.readFileBuffer(path);
      entries.push({ header: { ...header, name, type: "file", size: body.byteLength }, body });
    }
  };
  for (const name of options.names) await add(inArchive(name));
  const archive = await packTar(entries);
  const zipped = options.gzip || /\.t?gz$/.test(options.file);
  const bytes = zipped ? gzipSync(archive) : archive;
  const shown = options.verbose ? entries.map(({ header }) => `${header.name}\n`).join("") : "";
  if (target === null) return { ...done(latin1(bytes), shown), stdoutKind: "bytes" };
  await fs.writeFile(target, bytes);
  return done(shown);
}

async function extract(
  options: TarOptions,
  context: ResolvedCommandContext,
  folder: string,
): Promise<ExecResult> {
  const { fs } = context;
  const chosen = chooser(options);
  const entries = (await read(options, context)).filter(({ header }) => chosen(header.name));
  if (options.toStdout) {
    const bodies = entries.map(({ data }) => Buffer.from(data ?? []));
    return { ...done(latin1(Buffer.concat(bodies))), stdoutKind: "bytes" };
  }
  if (!(await fs.exists(folder)))
    throw new TarError(`${folder}: Cannot open: No such file or directory`);
  const shown: string[] = [];
  for (const { header, data } of entries) {
    const name = inArchive(header.name).split("/").slice(options.strip).join("/");
    if (name === "") continue;
    if (name.split("/").includes("..")) throw new TarError(`${name}: Member name contains '..'`);
    const path = fs.resolvePath(folder, name);
    if (options.verbose) shown.push(`${header.name}\n`);
    if (header.type === "directory") {
      await fs.mkdir(path, { recursive: true });
      continue;
    }
    if (options.keepOld && (await fs.exists(path))) continue;
    await fs.mkdir(path.slice(0, Math.max(1, path.lastIndexOf("/"))), { recursive: true });
    if (header.type === "symlink") {
      await fs.rm(path, { force: true });
      await fs.symlink(header.linkname ?? "", path);
    } else if (header.type === "link") {
      await fs.cp(fs.resolvePath(folder, inArchive(header.linkname ?? "")), path);
    } else if (header.type === "file" || header.type === undefined) {
      await fs.writeFile(path, data ?? new Uint8Array(0));
      if (header.mode !== undefined) await fs.chmod(path, header.mode);
    }
  }
  return done(shown.join(""));
}

async function list(options: TarOptions, context: ResolvedCommandContext): Promise<ExecResult> {
  const chosen = chooser(options);
  const entries = (await read(options, context)).filter(({ header }) => chosen(header.name));
  return done(
    entries.map((one) => `${options.verbose ? longLine(one) : one.header.name}\n`).join(""),
  );
}

async function read(
  { file }: TarOptions,
  { fs, cwd, stdin }: ResolvedCommandContext,
): Promise<ParsedTarEntryWithData[]> {
  const given =
    file === "-" ? Buffer.from(stdin, "latin1") : await opened(fs, fs.resolvePath(cwd, file), file);
  const zipped = given[0] === 0x1f && given[1] === 0x8b;
  try {
    const archive = zipped ? gunzipSync(given, { maxOutputLength: MAX_ARCHIVE }) : given;
    if (archive.byteLength > MAX_ARCHIVE) throw tooLarge();
    return await unpackTar(new Uint8Array(archive), { strict: true });
  } catch (error) {
    if (error instanceof TarError) throw error;
    if (error instanceof RangeError) throw tooLarge();
    throw new TarError("This does not look like a tar archive");
  }
}

async function opened(
  fs: ResolvedCommandContext["fs"],
  path: string,
  name: string,
): Promise<Uint8Array> {
  if (!(await fs.exists(path))) {
    throw new TarError(`${name}: Cannot open: No such file or directory`);
  }
  return fs.readFileBuffer(path);
}

const tooLarge = (): TarError =>
  new TarError(`an archive may hold ${MAX_ARCHIVE} bytes without compression`);

/** As it stands in an archive: below the folder that it is taken from. */
const inArchive = (name: string): string =>
  name
    .replace(/^\/+/, "")
    .replace(/^(\.\/+)+(?=.)/, "")
    .replace(/\/+$/, "");

/** Asked for by name, as itself or by a folder that it is in. */
function chooser({ names, exclude }: TarOptions): (name: string) => boolean {
  const excluded = matcher(exclude);
  const asked = names.map(inArchive);
  return (name) => {
    const own = inArchive(name);
    if (excluded(own)) return false;
    return asked.length === 0 || asked.some((one) => own === one || own.startsWith(`${one}/`));
  };
}

/** A pattern means a name or a path at any place in the whole one, and what is in it. */
function matcher(patterns: readonly string[]): (name: string) => boolean {
  const matches = patterns.map((one) => wideMatcher(`**/${inArchive(one)}/**`));
  return (name) => matches.some((match) => match(name));
}

const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1");

const KINDS: Readonly<Record<string, string>> = { directory: "d", symlink: "l" };

function longLine({ header }: ParsedTarEntryWithData): string {
  const { type = "file", mode = 0o644, size, mtime, name, linkname } = header;
  const rights = [6, 3, 0].flatMap((shift) =>
    ["r", "w", "x"].map((right, i) => ((mode >> shift) & (4 >> i) ? right : "-")),
  );
  const when = (mtime ?? new Date(0)).toISOString().slice(0, 16).replace("T", " ");
  const target = type === "symlink" ? ` -> ${linkname}` : "";
  return `${KINDS[type] ?? "-"}${rights.join("")} user/user ${String(size).padStart(9)} ${when} ${name}${target}`;
}
