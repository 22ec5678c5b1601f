/** A repository comes from a server: its newest commit, within limits, and not at all otherwise. */
import "just-bash";
import "isomorphic-git";
import { deflateSync } from "node:zlib";
import { expect, test } from "vitest";
import { cloneRepository } from "../../src/workspace/git.ts";
import { MAX_REPOSITORY_BYTES } from "../../src/workspace/git-http.ts";
import { checkPack } from "../../src/workspace/git-pack.ts";
import { said, ToolBench } from "./context.ts";
import { gitServer, type Served, servedRepository } from "./git-server.ts";

const URL_OF = "https://git.example/repo.git";

const COMMITS = [
  { message: "one\n", files: { "README.md": "old\n" } },
  { message: "two\n\nbody\n", files: { "README.md": "# new\n", "src/a/b.ts": "export {};\n" } },
];

/** Repository and session are two objects, so nothing comes over but by the protocol. */
const served = (): Promise<Served> =>
  new ToolBench().inside((files) => servedRepository(files, COMMITS));

test("git clone brings the files of the newest commit, and the repository works", async () => {
  const bench = new ToolBench();
  const repository = await served();
  const { request, asked } = gitServer(repository);
  expect(await said(bench, `git clone ${URL_OF}`, { request })).toBe(
    "Cloning into 'repo'...\nOnly the newest commit was fetched (depth 1).",
  );
  expect(await said(bench, "cd repo; cat README.md; find . -name '*.ts'; git status")).toBe(
    "# new\n./src/a/b.ts\nOn branch main\nnothing to commit, working tree clean",
  );
  expect(await said(bench, "git log --format='%H %an %ad %s'; git remote -v | head -1")).toBe(
    `${repository.head} Ada Tue Nov 14 23:13:20 2023 +0100 two\norigin\t${URL_OF} (fetch)`,
  );
  expect(
    await said(
      bench,
      "echo more >> README.md; git diff; git commit -qam three; git log --oneline | wc -l",
    ),
  ).toContain("@@ -1 +1,2 @@\n # new\n+more\n2");
  expect(asked.map(({ options: { method } }) => method)).toEqual(["GET", "POST"]);
  const [first, second] = asked.map(({ options }) => options);
  expect(first?.maxBytes).toBe(MAX_REPOSITORY_BYTES);
  expect(second?.maxBytes).toBeLessThan(MAX_REPOSITORY_BYTES);
  expect(new TextDecoder().decode(second?.body as Uint8Array)).toContain("deepen 1");
});

test("a clone has a name of its own, goes into an empty folder, and into no other", async () => {
  const bench = new ToolBench();
  const { request } = gitServer(await served());
  await said(bench, "mkdir empty full; touch full/x");
  expect(await said(bench, `git clone -q ${URL_OF} empty; ls empty`, { request })).toContain("src");
  expect(await said(bench, `git clone ${URL_OF} full`, { request })).toContain(
    "already exists and is not an empty directory",
  );
  expect(
    await said(bench, `git clone -q --depth 1 ${URL_OF} /tmp/x/y; ls /tmp/x/y`, { request }),
  ).toBe("README.md\nsrc");
  expect(await said(bench, `git clone ${URL_OF} /etc/x`, { request })).toContain(
    "outside of the workspace",
  );
});

test.each([
  ["https://me:secret@git.example/repo.git", "must not contain a user name or password"],
  ["http://git.example/repo.git", "over https:// only"],
  ["git@git.example:repo.git", "Only https:// addresses"],
  ["ssh://git.example/repo.git", "Only https:// addresses"],
  ["file:///workspace/origin", "Only https:// addresses"],
  ["https://git.example/none.git", "no such repository"],
])("%s is not cloned, and leaves nothing behind", async (url, words) => {
  const bench = new ToolBench();
  const { request, asked } = gitServer(await served());
  expect(await said(bench, `git clone ${url} x; ls`, { request })).toContain(words);
  expect(asked).toHaveLength(url.includes("none") ? 1 : 0);
  expect(await bench.inside((files) => files.stat("/workspace/x"))).toBeNull();
});

test("a remote with credentials is asked nothing", async () => {
  const bench = new ToolBench();
  const { request, asked } = gitServer(await served());
  const command = `git init -q; git remote add o https://u:p@git.example/repo.git; git config remote.origin.url https://u:p@git.example/repo.git; git config remote.origin.fetch '+refs/heads/*:refs/remotes/origin/*'; git fetch; git pull`;
  expect(await said(bench, command, { request })).toMatch(/(must not contain[\s\S]*){3}/);
  expect(asked).toEqual([]);
  const proxied =
    "git config remote.origin.url https://git.example/repo.git; git config http.corsProxy http://proxy.example; git fetch";
  expect(await said(bench, proxied, { request })).toContain("over https:// only");
  expect(asked).toEqual([]);
});

test("the route for files clones too, and says in a code why it does not", async () => {
  const bench = new ToolBench();
  const repository = await served();
  const { request } = gitServer(repository);
  const clone = (url: string, path: string) =>
    bench.inside((files) => cloneRepository(files, request, { url, path }));
  expect(await clone(URL_OF, "deep/er")).toEqual({
    ok: true,
    path: "/workspace/deep/er",
    branch: "main",
    commit: repository.head,
  });
  expect(await clone(URL_OF, "deep/er")).toMatchObject({ ok: false, code: "already_exists" });
  expect(await clone("https://git.example/none", "x/y")).toMatchObject({
    code: "repository_not_found",
  });
  expect(await clone("https://u:p@git.example/repo.git", "x")).toMatchObject({
    code: "url_credentials",
  });
  expect(await clone(URL_OF, "../out")).toMatchObject({ code: "outside" });
  expect(await bench.inside((files) => files.stat("/workspace/x"))).toBeNull();
});

interface PackedObject {
  type: number;
  /** The size that it says it has. */
  size: number;
  bytes: Uint8Array;
  /** Of a delta: the id of what it changes. */
  base?: Uint8Array;
}

function packOf(...objects: PackedObject[]): Uint8Array {
  const pieces = [...new TextEncoder().encode("PACK"), 0, 0, 0, 2, 0, 0, 0, objects.length];
  for (const { type, size, bytes, base = [] } of objects) {
    let rest = Math.floor(size / 16);
    pieces.push((rest > 0 ? 128 : 0) | (type << 4) | (size & 15));
    for (; rest > 0; rest = Math.floor(rest / 128)) {
      pieces.push((rest > 127 ? 128 : 0) | (rest & 127));
    }
    pieces.push(...base, ...deflateSync(bytes));
  }
  return Uint8Array.from([...pieces, ...new Uint8Array(20)]);
}

const ZEROS = new Uint8Array(1_000_000);

test("a pack is read only when all that it stands for is small enough", async () => {
  const whole = (await served()).pack;
  expect(() => checkPack(whole)).not.toThrow();
  expect(() => checkPack(packOf({ type: 3, size: 5, bytes: new Uint8Array(5) }))).not.toThrow();
  expect(() => checkPack(packOf({ type: 3, size: 30_000_000, bytes: ZEROS }))).toThrow(
    "30000000 bytes",
  );
  // It says that it is small, and is not.
  expect(() => checkPack(packOf({ type: 3, size: 10, bytes: ZEROS }))).toThrow("cannot be read");
  // Objects that say how to make a larger one: source 1 byte, target 2^30 bytes.
  const delta = Uint8Array.of(1, 0x80, 0x80, 0x80, 0x80, 0x04);
  const bomb = { type: 7, size: delta.length, bytes: delta, base: new Uint8Array(20) };
  expect(() => checkPack(packOf(bomb))).toThrow("1073741824 bytes");
  expect(() => checkPack(whole.subarray(0, whole.length - 40))).toThrow("cannot be read");
  expect(() => checkPack(new TextEncoder().encode("<html>not a repository at all</html>"))).toThrow(
    "no pack",
  );
});

test("a repository that is too large is refused and leaves nothing behind", async () => {
  const bench = new ToolBench();
  const { head } = await served();
  const bomb = gitServer({ head, pack: packOf({ type: 3, size: 30_000_000, bytes: ZEROS }) });
  expect(await said(bench, `git clone ${URL_OF}; ls`, bomb)).toContain("a file of 30000000 bytes");
  const large = gitServer({ head, pack: new Uint8Array(MAX_REPOSITORY_BYTES) });
  expect(await said(bench, `git clone ${URL_OF}; ls`, large)).toContain(
    `The repository is larger than ${MAX_REPOSITORY_BYTES} bytes`,
  );
  expect(await bench.inside((files) => files.list("/workspace"))).toEqual([]);
});
