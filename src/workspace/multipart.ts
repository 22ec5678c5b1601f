/**
 * The parts of a `multipart/form-data` body (RFC 7578) as views of its bytes: the platform's own
 * reader would hold everything twice.
 */

export interface Part {
  /** The field. */
  name: string;
  /** As it was given; null for a part that is no file. */
  filename: string | null;
  bytes: Uint8Array<ArrayBuffer>;
}

const MAX_PARTS = 1_000;
const MAX_HEADER_BYTES = 8_192;
/** RFC 2046, section 5.1.1, without the space. */
const BOUNDARY = /^[0-9A-Za-z'()+_,\-./:=?]{1,70}$/;

/** The boundary in a `Content-Type`; null when that is no `multipart/form-data`. */
export function boundaryOf(contentType: string): string | null {
  const found = /^multipart\/form-data\s*;(?:.*;)?\s*boundary=(?:"([^"]*)"|([^\s;]+))/i.exec(
    contentType,
  );
  const boundary = found?.[1] ?? found?.[2] ?? "";
  return BOUNDARY.test(boundary) ? boundary : null;
}

/** The parts in order, or what is wrong in words. */
export function readMultipart(body: Uint8Array<ArrayBuffer>, boundary: string): Part[] | string {
  // The first delimiter has no line end before it.
  const buffer = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const delimiter = `\r\n--${boundary}`;
  const first = `--${boundary}`;
  let at = buffer.indexOf(first) === 0 ? first.length : after(buffer, delimiter, 0);
  if (at < 0) return "The body does not begin with its boundary.";
  const parts: Part[] = [];
  for (;;) {
    if (buffer.subarray(at, at + 2).equals(DASHES)) return parts;
    const start = endOfLine(buffer, at);
    const head = start < 0 ? -1 : headEnd(buffer, start);
    const end = head < 0 ? -1 : buffer.indexOf(delimiter, Math.max(start, head - 2));
    if (head < 0 || end < 0) return "The body is cut: its last boundary is missing.";
    if (head - start > MAX_HEADER_BYTES) return "A part's header is too long.";
    if (parts.length === MAX_PARTS) return `A body may have ${MAX_PARTS} parts.`;
    const named = disposition(buffer.subarray(start, head));
    if (named === null) return `Part ${parts.length} has no readable Content-Disposition.`;
    parts.push({ ...named, bytes: body.subarray(head, Math.max(head, end)) });
    at = end + delimiter.length;
  }
}

const DASHES = Buffer.from("--");

function after(buffer: Buffer, text: string, from: number): number {
  const found = buffer.indexOf(text, from);
  return found < 0 ? -1 : found + text.length;
}

/** Behind the line end that follows a delimiter, which may have white space before it. */
function endOfLine(buffer: Buffer, from: number): number {
  let at = from;
  while (buffer[at] === 0x20 || buffer[at] === 0x09) at += 1;
  return buffer[at] === 0x0d && buffer[at + 1] === 0x0a ? at + 2 : -1;
}

/** Behind the empty line that ends a part's header. */
const headEnd = (buffer: Buffer, from: number): number =>
  buffer[from] === 0x0d && buffer[from + 1] === 0x0a ? from + 2 : after(buffer, "\r\n\r\n", from);

function disposition(head: Uint8Array): Pick<Part, "name" | "filename"> | null {
  const text = utf8(head);
  const line = text?.split("\r\n").find((one) => /^content-disposition\s*:/i.test(one));
  if (line === undefined || !/:\s*form-data\s*(;|$)/i.test(line)) return null;
  const name = parameter(line, "name");
  return name === null ? null : { name, filename: parameter(line, "filename") };
}

function utf8(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}

/** Browsers write `"`, and line ends, as percent codes, and nothing else; others put `\` before a `"`. */
function parameter(line: string, name: string): string | null {
  const pattern = new RegExp(`;\\s*${name}=(?:"((?:\\\\"|[^"])*)"|([^\\s;"]+))`, "i");
  const found = pattern.exec(line);
  const text = found?.[1] ?? found?.[2];
  if (text === undefined) return null;
  return text.replaceAll('\\"', '"').replace(/%(22|0D|0A)/gi, (code) => decodeURIComponent(code));
}
