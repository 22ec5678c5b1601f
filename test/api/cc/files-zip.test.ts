/** A folder as a zip archive, both ways; what an archive could do harm with is refused whole. */
import { runInDurableObject } from "cloudflare:test";
import { deflateSync, unzipSync, type Zippable, zipSync } from "fflate";
import { expect, test } from "vitest";
import { sha256Hex } from "../../../src/http/canonical.ts";
import { Workspace } from "../../../src/workspace/workspace.ts";
import {
  type Bytes,
  bytesOf,
  noise,
  paths,
  put,
  putAll,
  refused,
  streamOf,
  textOf,
} from "./files-support.ts";
import { get, newSession, objectOf, send, withStandin } from "./server.ts";

withStandin();

const zipOf = async (session: string, query = ""): Promise<Bytes> => {
  const response = await get(`${session}/files.zip${query}`);
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toBe("application/zip");
  return new Uint8Array(await response.arrayBuffer());
};

const unpack = (session: string, bytes: Uint8Array, query = "", type = "application/zip") =>
  send("POST", `${session}/files/zip${query}`, streamOf(new Uint8Array(bytes)), {
    "content-type": type,
  });

const zip = (files: Zippable) => zipSync(files);

test("a folder goes out and comes back as it was", async () => {
  const [session, other] = [await newSession(), await newSession()];
  const large = noise(3_000_000);
  await putAll(session, { "src/a.txt": "A", "src/ünï/日本.txt": "U", "src/empty": "", out: "x" });
  expect((await put(session, "src/large.bin", large)).status).toBe(201);
  await runInDurableObject(await objectOf(session), (_, state) => {
    const workspace = new Workspace(state.storage);
    workspace.makeDirectory("/workspace/src/none");
    workspace.setMode("/workspace/src/a.txt", 0o755);
  });
  const bytes = await zipOf(session, "?path=src");
  expect(Object.keys(unzipSync(bytes))).toEqual([
    "a.txt",
    "empty",
    "large.bin",
    "none/",
    "ünï/",
    "ünï/日本.txt",
  ]);
  const response = await unpack(other, bytes, "?path=to/here");
  expect(response.status).toBe(201);
  const { data } = await response.json<{ data: { path: string }[] }>();
  expect(data.map(({ path }) => path)).toEqual([
    "to/here/a.txt",
    "to/here/empty",
    "to/here/large.bin",
    "to/here/ünï/日本.txt",
  ]);
  expect((await paths(other)).slice(2)).toEqual([
    "to/here/a.txt",
    "to/here/empty",
    "to/here/large.bin",
    "to/here/none",
    "to/here/ünï",
    "to/here/ünï/日本.txt",
  ]);
  const got = await get(`${other}/files/to/here/large.bin`);
  expect(await sha256Hex(new Uint8Array(await got.arrayBuffer()))).toBe(await sha256Hex(large));
  const mode = await runInDurableObject(
    await objectOf(other),
    (_, state) => new Workspace(state.storage).stat("/workspace/to/here/a.txt")?.mode,
  );
  expect(mode).toBe(0o755);
  expect((await unpack(other, bytes, "?path=to/here")).status).toBe(200);
});

test("an archive of many files and of several pages has each once, named by its folder", async () => {
  const session = await newSession();
  const files = Object.fromEntries(
    Array.from({ length: 450 }, (_, i) => [`d${i % 3}/${i}`, bytesOf(`${i}`)]),
  );
  expect((await unpack(session, zip(files), "", "application/octet-stream")).status).toBe(201);
  const response = await get(`${session}/files.zip`);
  expect(response.headers.get("content-disposition")).toContain('filename="workspace.zip"');
  const all = unzipSync(new Uint8Array(await response.arrayBuffer()));
  const names = Object.keys(all).filter((name) => !name.endsWith("/"));
  expect(names.sort()).toEqual(Object.keys(files).sort());
  for (const name of names) expect(new TextDecoder().decode(all[name])).toBe(name.split("/")[1]);
  const head = await send("HEAD", `${session}/files.zip?path=d1`);
  expect(head.headers.get("content-disposition")).toContain('filename="d1.zip"');
});

test("a link to a file is packed as that file, and one that leads out, round or nowhere is left out", async () => {
  const session = await newSession();
  await putAll(session, { "real.txt": "real" });
  await runInDurableObject(await objectOf(session), (_, state) => {
    const workspace = new Workspace(state.storage);
    workspace.write("/tmp/secret", "secret");
    workspace.link("real.txt", "/workspace/good");
    workspace.link("/tmp/secret", "/workspace/bad");
    workspace.link("nowhere", "/workspace/broken");
    workspace.link(".", "/workspace/round");
    workspace.link("circle", "/workspace/circle");
  });
  const all = unzipSync(await zipOf(session));
  expect(Object.keys(all)).toEqual(["good", "real.txt"]);
  expect(new TextDecoder().decode(all.good)).toBe("real");
});

test.each([
  ["?path=none", [404, "not_found"]],
  ["?path=a.txt", [409, "not_a_directory"]],
  ["?path=../x", [422, "outside_workspace", "query -> path"]],
])("an archive of %s is refused", async (query, problem) => {
  const session = await newSession();
  await putAll(session, { "a.txt": "A" });
  expect(await refused(await get(`${session}/files.zip${query}`))).toEqual(problem);
});

test("the archive of a workspace that is empty is an archive", async () => {
  const session = await newSession();
  expect(unzipSync(await zipOf(session))).toEqual({});
});

/** An archive with bytes changed: those at `at` behind the first `signature`. */
function changed(bytes: Uint8Array, signature: string, at: number, hex: string): Uint8Array {
  const copy = Buffer.from(bytes);
  const place = copy.indexOf(Buffer.from(signature, "hex"));
  expect(place).toBeGreaterThanOrEqual(0);
  copy.set(Uint8Array.fromHex(hex), place + at);
  return new Uint8Array(copy);
}

const CENTRAL = "504b0102";
const LOCAL = "504b0304";
const good = zip({ "good.txt": bytesOf("good".repeat(99)) });
const mode = (bits: number) => ({ os: 3, attrs: bits * 2 ** 16 });
const link = (kind: number): Zippable => ({
  "good.txt": bytesOf("x"),
  link: [bytesOf("/etc"), mode(kind)],
});
const unsafe = [422, "archive_unsafe"];
const invalid = [422, "archive_invalid"];
const tooLarge = [413, "archive_too_large"];
const named = (name: string): Uint8Array => zip({ "good.txt": bytesOf("x"), [name]: bytesOf("x") });
const many: Zippable = Object.fromEntries(
  Array.from({ length: 10_001 }, (_, i) => [`${i}`, new Uint8Array()]),
);

test.each<[what: string, bytes: () => Uint8Array, problem: (string | number)[]]>([
  ["a name above", () => named("../up"), unsafe],
  ["a name that comes back", () => named("a/../b"), unsafe],
  ["an absolute name", () => named("/etc/passwd"), unsafe],
  ["an empty name", () => named("a//b"), unsafe],
  ["a NUL in a name", () => named("a\0b"), unsafe],
  ["a long name", () => named("x".repeat(256)), [422, "path_too_long", "query -> path"]],
  ["a symbolic link", () => zip(link(0o120777)), unsafe],
  ["a device", () => zip(link(0o060644)), unsafe],
  ["a pipe", () => zip(link(0o010644)), unsafe],
  ["no archive", () => bytesOf("hello"), invalid],
  ["nothing", () => new Uint8Array(), invalid],
  ["a cut archive", () => good.subarray(0, -5), invalid],
  ["a directory that is cut", () => changed(good, "504b0506", 16, "ffffff00"), invalid],
  ["another checksum", () => changed(good, CENTRAL, 16, "00000000"), invalid],
  ["less content than said", () => changed(good, CENTRAL, 24, "ff010000"), invalid],
  ["more content than said", () => changed(good, CENTRAL, 24, "01000000"), invalid],
  ["broken content", () => changed(good, LOCAL, 40, "ffffff"), invalid],
  ["a place outside of it", () => changed(good, CENTRAL, 42, "ffff0000"), invalid],
  ["a key", () => changed(good, CENTRAL, 8, "0100"), invalid],
  ["another method", () => changed(good, CENTRAL, 10, "0c00"), invalid],
  ["sizes of Zip64", () => changed(good, CENTRAL, 20, "ffffffff"), invalid],
  ["a name that is no text", () => changed(good, CENTRAL, 46, "ff"), invalid],
  ["too many entries", () => zip(many), tooLarge],
  ["a bomb", () => bomb(27, 4_000_000), tooLarge],
  ["a file that is too large", () => bomb(1, 26 * 1024 * 1024 + 1), [413, "file_too_large"]],
  ["a file where a folder is", () => named("dir"), [409, "not_a_file"]],
])("an archive with %s is refused whole", async (_, bytes, problem) => {
  const session = await newSession();
  await putAll(session, { "dir/x": "" });
  expect(await refused(await unpack(session, bytes()))).toEqual(problem);
  expect(await paths(session)).toEqual(["dir", "dir/x"]);
});

/** `count` files of `size` zeros, in a few kilobytes each. */
function bomb(count: number, size: number): Uint8Array {
  const zeros = new Uint8Array(size);
  expect(deflateSync(zeros).length * 500).toBeLessThan(size);
  return zip(Object.fromEntries(Array.from({ length: count }, (_, i) => [`${i}`, zeros])));
}

test("a file twice, or a file and what would be in it, is refused", async () => {
  const session = await newSession();
  const twice = Buffer.from(zip({ "aa.txt": bytesOf("1"), "bb.txt": bytesOf("2") }));
  for (let at = twice.indexOf("bb.txt"); at >= 0; at = twice.indexOf("bb.txt"))
    twice.write("aa.txt", at);
  expect(await refused(await unpack(session, twice))).toEqual(invalid);
  const inside = zip({ a: bytesOf("1"), "a/b": bytesOf("2") });
  expect(await refused(await unpack(session, inside))).toEqual([409, "not_a_directory"]);
  expect(await paths(session)).toEqual([]);
});

test("an archive that is too large, of another type, or for elsewhere is refused", async () => {
  const session = await newSession();
  const over = new Uint8Array(25 * 1024 * 1024 + 1);
  expect(await refused(await unpack(session, over))).toEqual([413, "payload_too_large"]);
  expect(await refused(await unpack(session, good, "", "text/plain"))).toEqual([
    415,
    "unsupported_media_type",
  ]);
  expect(await refused(await unpack(session, good, "?path=.."))).toEqual([
    422,
    "outside_workspace",
    "query -> path",
  ]);
  await runInDurableObject(await objectOf(session), (_, state) => {
    new Workspace(state.storage).link("/tmp", "/workspace/out");
  });
  const through = zip({ "out/x": bytesOf("x") });
  expect(await refused(await unpack(session, through))).toEqual([
    422,
    "outside_workspace",
    "query -> path",
  ]);
  expect(await textOf(session, "x")).toBeNull();
});
