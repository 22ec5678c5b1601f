/**
 * Checks a pack of a repository before git unpacks it: some kilobytes of a stranger can stand for
 * gigabytes of memory.
 */
import { inflateSync } from "node:zlib";

/** Bytes of one object, and of all of them, unpacked. */
const MAX_OBJECT_BYTES = 25 * 1024 * 1024;
const MAX_ALL_BYTES = 200 * 1024 * 1024;
const MAX_OBJECTS = 100_000;

const HEADER_BYTES = 12;
const TRAILER_BYTES = 20;
const OFFSET_DELTA = 6;
const REFERENCE_DELTA = 7;
const OID_BYTES = 20;

export class PackRefused extends Error {
  readonly code = "repository_too_large";
}

/** @throws PackRefused when it holds too much, or is no pack */
export function checkPack(pack: Uint8Array): void {
  const view = new DataView(pack.buffer, pack.byteOffset, pack.byteLength);
  if (pack.byteLength < HEADER_BYTES + TRAILER_BYTES || view.getUint32(0) !== 0x5041434b) {
    throw new PackRefused("The server sent no pack of objects.");
  }
  const objects = view.getUint32(8);
  if (objects > MAX_OBJECTS) {
    throw new PackRefused(`The repository has ${objects} objects; ${MAX_OBJECTS} are allowed.`);
  }
  let at = HEADER_BYTES;
  let all = 0;
  for (let n = 0; n < objects; n++) {
    const { type, size, start } = objectHeader(pack, at);
    const { bytes, end } = inflated(pack, start, size);
    const whole = type === OFFSET_DELTA || type === REFERENCE_DELTA ? deltaSize(bytes) : size;
    checkSize(whole);
    all += Math.max(size, whole);
    if (all > MAX_ALL_BYTES) {
      throw new PackRefused(`The repository has more than ${MAX_ALL_BYTES} bytes, unpacked.`);
    }
    at = end;
  }
}

function checkSize(size: number): void {
  if (size <= MAX_OBJECT_BYTES) return;
  throw new PackRefused(
    `The repository has a file of ${size} bytes; ${MAX_OBJECT_BYTES} are allowed.`,
  );
}

/** Type, size and the place of the compressed data of the object that begins at `at`. */
function objectHeader(pack: Uint8Array, at: number): { type: number; size: number; start: number } {
  const first = byteAt(pack, at);
  const type = (first >> 4) & 7;
  let size = first & 15;
  let next = at + 1;
  if (first & 128) {
    const rest = variable(pack, next);
    size += rest.value * 16;
    next = rest.end;
  }
  checkSize(size);
  if (type === REFERENCE_DELTA) next += OID_BYTES;
  if (type === OFFSET_DELTA) next = variable(pack, next).end;
  return { type, size, start: next };
}

function inflated(
  pack: Uint8Array,
  start: number,
  size: number,
): { bytes: Uint8Array; end: number } {
  try {
    // With `info` it says how much it has read; the types do not know of it.
    const { buffer, engine } = inflateSync(pack.subarray(start, pack.byteLength - TRAILER_BYTES), {
      maxOutputLength: Math.max(1, size),
      info: true,
    }) as unknown as { buffer: Uint8Array; engine: { bytesWritten: number } };
    if (buffer.byteLength !== size) throw new RangeError("size");
    return { bytes: buffer, end: start + engine.bytesWritten };
  } catch {
    throw new PackRefused("The server sent a pack with an object that cannot be read.");
  }
}

/** The size of what a delta makes: it begins with that of its base, and then has this. */
function deltaSize(delta: Uint8Array): number {
  return variable(delta, variable(delta, 0).end).value;
}

/** A number in pieces of seven bits, the lowest first. */
function variable(bytes: Uint8Array, at: number): { value: number; end: number } {
  let value = 0;
  let scale = 1;
  for (let i = at; ; i++) {
    const byte = byteAt(bytes, i);
    value += (byte & 127) * scale;
    if (value > Number.MAX_SAFE_INTEGER) throw new PackRefused("The pack has an impossible size.");
    if (!(byte & 128)) return { value, end: i + 1 };
    scale *= 128;
  }
}

function byteAt(bytes: Uint8Array, at: number): number {
  const byte = bytes[at];
  if (byte === undefined) throw new PackRefused("The pack ends before its last object.");
  return byte;
}
