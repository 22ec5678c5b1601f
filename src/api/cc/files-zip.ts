/** A folder as a zip archive, made as the client takes it. */
import { Zip, ZipDeflate, ZipPassThrough } from "fflate";
import * as v from "valibot";
import type { HttpContext } from "../../http/context.ts";
import { respond } from "../../http/problems.ts";
import { parse } from "../../http/validate.ts";
import type { SessionStub } from "../../session/calls.ts";
import type { Packed, PackedFile } from "../../session/file-calls.ts";
import { ROOT } from "../../workspace/paths.ts";
import { attachment, pieces, send } from "../common/download.ts";
import { ask } from "../common/files.ts";
import { keyId } from "../common/key.ts";
import { sendUpload } from "../common/upload.ts";
import { addressed } from "./address.ts";
import { uploadAnswer } from "./files-upload.ts";

export const ZipQuery = v.object({ path: v.optional(v.string(), ROOT) });
const FIELD = "query -> path";

/** `GET /api/sessions/{id}/files.zip` */
export async function getZip(c: HttpContext): Promise<Response> {
  const { session } = addressed(c);
  const { path } = parse(ZipQuery, c.req.query(), "query");
  // Read before the headers leave, so that a folder that is not there is 404.
  const first = await ask(session, "pack", { path, after: null }, FIELD);
  const name = path.split("/").findLast((one) => one !== "" && one !== ".") ?? "workspace";
  const headers = { ...attachment(`${name}.zip`), "content-type": "application/zip" };
  if (c.req.method === "HEAD") return c.body(null, 200, headers);
  const { readable, writable } = new IdentityTransformStream();
  c.executionCtx.waitUntil(send(zipped(session, path, first), writable, c.get("credential")));
  return c.body(readable, 200, headers);
}

async function* zipped(
  session: SessionStub,
  path: string,
  first: Packed,
): AsyncGenerator<Uint8Array> {
  const zip = new ZipWriter();
  for (let page = first; ; ) {
    for (const file of page.files) {
      for await (const bytes of contentOf(session, file)) yield* zip.add(file, bytes);
      yield* zip.end(file);
    }
    if (page.next === null) break;
    page = await ask(session, "pack", { path, after: page.next }, FIELD);
  }
  yield* zip.close();
}

async function* contentOf(session: SessionStub, file: PackedFile): AsyncGenerator<Uint8Array> {
  if (file.bytes) yield file.bytes;
  else if (!file.directory) yield* pieces(session, file, 0, file.size - 1);
}

const UNIX = 3;
/** A zip knows no earlier time, and none behind 2099. */
const FIRST_TIME = Date.UTC(1980, 0, 2);
const LAST_TIME = Date.UTC(2099, 0, 1);

/** The archive's bytes as they arise. */
class ZipWriter {
  #out: Uint8Array[] = [];
  #error: Error | null = null;
  #open: ZipDeflate | ZipPassThrough | null = null;
  readonly #zip = new Zip((error, chunk) => {
    this.#error ??= error;
    if (chunk) this.#out.push(chunk);
  });

  *add(file: PackedFile, bytes: Uint8Array): Generator<Uint8Array> {
    this.#entry(file).push(bytes);
    yield* this.#taken();
  }

  *end(file: PackedFile): Generator<Uint8Array> {
    this.#entry(file).push(new Uint8Array(), true);
    this.#open = null;
    yield* this.#taken();
  }

  *close(): Generator<Uint8Array> {
    this.#zip.end();
    yield* this.#taken();
  }

  #entry({ name, directory, mode, mtime }: PackedFile): ZipDeflate | ZipPassThrough {
    if (this.#open) return this.#open;
    const entry = directory ? new ZipPassThrough(`${name}/`) : new ZipDeflate(name, { level: 6 });
    entry.os = UNIX;
    entry.attrs = ((directory ? 0o040000 : 0o100000) | mode) << 16;
    entry.mtime = Math.min(LAST_TIME, Math.max(FIRST_TIME, mtime));
    this.#zip.add(entry);
    this.#open = entry;
    return entry;
  }

  #taken(): Uint8Array[] {
    if (this.#error) throw this.#error;
    return this.#out.splice(0).filter(({ byteLength }) => byteLength > 0);
  }
}

/** `POST /api/sessions/{id}/files/zip` */
export async function postZip(c: HttpContext): Promise<Response> {
  const key = keyId(c, "files/zip");
  const { path } = parse(ZipQuery, c.req.query(), "query");
  const type = c.req.header("content-type")?.split(";")[0]?.trim().toLowerCase() ?? "";
  if (type !== "" && !ZIP_TYPES.has(type)) {
    const detail = "The body must be a zip archive, as application/zip.";
    return respond(c, { status: 415, code: "unsupported_media_type", detail });
  }
  return uploadAnswer(
    c,
    await sendUpload(c, addressed(c).session, { kind: "archive", path, key }, FIELD),
  );
}

const ZIP_TYPES = new Set([
  "application/zip",
  "application/x-zip-compressed",
  "application/octet-stream",
]);
