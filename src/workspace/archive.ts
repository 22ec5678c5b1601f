/**
 * Reading zip archives that a stranger may have made. Only what is in the central directory counts,
 * names and kinds are checked before a byte is inflated, and no entry gives more than it declares.
 */
import { crc32, inflateRawSync } from "node:zlib";

export const ARCHIVE_LIMITS = {
  /** Bytes of the archive. */
  packedBytes: 25 * 1024 * 1024,
  /** Bytes of all its files. */
  unpackedBytes: 100 * 1024 * 1024,
  entries: 10_000,
};

export type ArchiveErrorCode = "archive_invalid" | "archive_unsafe" | "archive_too_large";

export class ArchiveError extends Error {
  readonly code: ArchiveErrorCode;

  constructor(code: ArchiveErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

export interface ArchiveEntry {
  /** Relative, without dots, without a slash at its end. */
  path: string;
  directory: boolean;
  /** Permission bits; null when the archive has none. */
  mode: number | null;
  size: number;
  /** @throws ArchiveError when the content is not what the archive says of it */
  read(): Uint8Array<ArrayBuffer>;
}

const END = 0x06054b50;
const CENTRAL = 0x02014b50;
const LOCAL = 0x04034b50;
const END_BYTES = 22;
const CENTRAL_BYTES = 46;
const LOCAL_BYTES = 30;
const MAX_COMMENT = 65_535;

const FILE_KINDS = 0o170000;
const REGULAR = 0o100000;
const DIRECTORY = 0o040000;

/**
 * The entries of an archive, all of them checked but for their content.
 *
 * @throws ArchiveError
 */
export function readArchive(bytes: Uint8Array<ArrayBuffer>): ArchiveEntry[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = findEnd(view);
  const count = view.getUint16(end + 10, true);
  const start = view.getUint32(end + 16, true);
  if (count === 0xffff || start === 0xffffffff) throw invalid("Zip64 archives are not understood.");
  if (count > ARCHIVE_LIMITS.entries) {
    throw tooLarge(`An archive may have ${ARCHIVE_LIMITS.entries} entries; this has ${count}.`);
  }
  const entries: ArchiveEntry[] = [];
  const seen = new Set<string>();
  let total = 0;
  for (let at = start; entries.length < count; ) {
    if (at + CENTRAL_BYTES > end || view.getUint32(at, true) !== CENTRAL) throw invalid(CUT);
    const { entry, next } = readEntry(bytes, view, at, end);
    if (seen.has(entry.path)) throw invalid(`${entry.path} is there twice.`);
    seen.add(entry.path);
    total += entry.size;
    if (total > ARCHIVE_LIMITS.unpackedBytes) {
      throw tooLarge(`The files of an archive may hold ${ARCHIVE_LIMITS.unpackedBytes} bytes.`);
    }
    entries.push(entry);
    at = next;
  }
  return entries;
}

const CUT = "The archive is cut or broken.";
const invalid = (message: string) => new ArchiveError("archive_invalid", message);
const unsafe = (message: string) => new ArchiveError("archive_unsafe", message);
const tooLarge = (message: string) => new ArchiveError("archive_too_large", message);

function findEnd(view: DataView): number {
  const last = view.byteLength - END_BYTES;
  for (let at = last; at >= Math.max(0, last - MAX_COMMENT); at--) {
    if (view.getUint32(at, true) !== END) continue;
    if (at + END_BYTES + view.getUint16(at + 20, true) === view.byteLength) return at;
  }
  throw invalid("The body is not a zip archive.");
}

function readEntry(
  bytes: Uint8Array<ArrayBuffer>,
  view: DataView,
  at: number,
  end: number,
): { entry: ArchiveEntry; next: number } {
  const flags = view.getUint16(at + 8, true);
  const method = view.getUint16(at + 10, true);
  const crc = view.getUint32(at + 16, true);
  const packed = view.getUint32(at + 20, true);
  const size = view.getUint32(at + 24, true);
  const nameEnd = at + CENTRAL_BYTES + view.getUint16(at + 28, true);
  const attributes = view.getUint32(at + 38, true) >>> 16;
  const local = view.getUint32(at + 42, true);
  if (nameEnd > end) throw invalid(CUT);
  const name = nameOf(bytes.subarray(at + CENTRAL_BYTES, nameEnd));
  const directory = name.endsWith("/");
  const path = safePath(name);
  const kind = attributes & FILE_KINDS;
  if (kind !== 0 && kind !== (directory ? DIRECTORY : REGULAR)) {
    throw unsafe(`${name} is a link or a special file.`);
  }
  if ((flags & 1) !== 0) throw invalid(`${name} is encrypted.`);
  if (method !== 0 && method !== 8) throw invalid(`${name} is packed by an unknown method.`);
  if (directory && size > 0) throw invalid(`${name} is a folder with content.`);
  if ([packed, size, local].includes(0xffffffff))
    throw invalid("Zip64 archives are not understood.");
  const read = (): Uint8Array<ArrayBuffer> => {
    const data = dataOf(bytes, view, local, packed);
    const content = method === 0 ? data : inflated(data, size, name);
    if (content.byteLength !== size || crc32(content) !== crc) {
      throw invalid(`${name} is not what the archive says of it.`);
    }
    return content;
  };
  const mode = (attributes & 0o777) === 0 ? null : attributes & 0o777;
  const next = nameEnd + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
  return { entry: { path, directory, mode, size, read }, next };
}

function nameOf(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw invalid("A name in the archive is not UTF-8.");
  }
}

/** A name is never repaired: one that leads out was made to. */
function safePath(name: string): string {
  const path = name.replace(/\/$/, "");
  const names = path.split("/");
  if (path.includes("\0") || names.some((one) => one === "" || one === "." || one === "..")) {
    throw unsafe(`The archive has an entry named ${JSON.stringify(name)}.`);
  }
  return path;
}

function dataOf(
  bytes: Uint8Array<ArrayBuffer>,
  view: DataView,
  local: number,
  packed: number,
): Uint8Array<ArrayBuffer> {
  if (local + LOCAL_BYTES > bytes.byteLength || view.getUint32(local, true) !== LOCAL) {
    throw invalid(CUT);
  }
  const lengths = view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
  const start = local + LOCAL_BYTES + lengths;
  if (start + packed > bytes.byteLength) throw invalid(CUT);
  return bytes.subarray(start, start + packed);
}

/** Stops at the declared size: one byte of an archive can become a thousand. */
function inflated(data: Uint8Array, size: number, name: string): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(inflateRawSync(data, { maxOutputLength: Math.max(1, size) }));
  } catch {
    throw invalid(`${name} is not what the archive says of it.`);
  }
}
