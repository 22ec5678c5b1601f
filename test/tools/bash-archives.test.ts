/** `tar` and `gzip` over the workspace. */
import "just-bash";
import { expect, test } from "vitest";
import { said, ToolBench } from "./context.ts";

const MADE =
  "mkdir -p p/d; echo one > p/a; echo AP+A | base64 -d > p/d/b; chmod 755 p/a; ln -s a p/l";

test("an archive has everything that was put in, with and without compression", async () => {
  const bench = new ToolBench();
  await said(bench, MADE);
  for (const [pack, unpack] of [
    ["tar -czf x.tgz p", "tar -xzf x.tgz"],
    ["tar cf x.tgz p", "tar xvf x.tgz"],
    ["tar -c -f - p | gzip > x.tgz", "cat x.tgz | tar xz"],
    ["tar --create --gzip --file=x.tgz ./p/", "gunzip -c < x.tgz | tar -x"],
  ]) {
    await said(bench, `${pack}; mv p was; ${unpack}`);
    const text = await said(
      bench,
      "cat p/a p/l; base64 p/d/b; readlink p/l; stat -c %a p/a; diff p/d/b was/d/b && rm -r was",
    );
    expect(text, pack).toBe("one\none\nAP+A\na\n755");
  }
});

test("what is in an archive is listed, chosen, left out and put elsewhere", async () => {
  const bench = new ToolBench();
  await said(bench, MADE);
  await said(bench, "tar czf x.tgz -C p --exclude='*.log' a d l");
  expect(await said(bench, "tar tf x.tgz")).toBe("a\nd/\nd/b\nl");
  expect(await said(bench, "tar tvzf x.tgz | head -1")).toMatch(/^-rwxr-xr-x user\/user +4 .* a$/);
  expect(await said(bench, "mkdir o; tar xf x.tgz -C o d; ls o")).toBe("d");
  expect(await said(bench, "tar xf x.tgz -C o --strip-components=1; ls o")).toBe("b\nd");
  expect(await said(bench, "tar xOf x.tgz a")).toBe("one");
  expect(await said(bench, "tar cf y.tar --exclude=d p; tar tf y.tar")).toBe("p/\np/a\np/l");
});

test.each([
  ["x.o", "t/ t/k/ t/k/x.c t/s/"],
  ["*.o", "t/ t/k/ t/k/x.c t/s/"],
  ["t/*.o", "t/ t/k/ t/k/x.c t/s/"],
  ["s/x.?", "t/ t/k/ t/k/x.c t/k/x.o t/s/"],
  ["./t/k", "t/ t/s/ t/s/x.o"],
  ["k", "t/ t/s/ t/s/x.o"],
  ["[!k]/x.o", "t/ t/k/ t/k/x.c t/k/x.o t/s/"],
  ["t.k", "t/ t/k/ t/k/x.c t/k/x.o t/s/ t/s/x.o"],
])(
  "what --exclude=%s means is left out, of a new archive and of one that is there",
  async (pattern, left) => {
    const bench = new ToolBench();
    await said(bench, "mkdir -p t/k t/s; touch t/k/x.c t/k/x.o t/s/x.o; tar cf all.tar t");
    expect(await said(bench, `tar cf - --exclude='${pattern}' t | tar tf - | tr '\\n' ' '`)).toBe(
      left,
    );
    expect(await said(bench, `tar tf all.tar --exclude='${pattern}' | tr '\\n' ' '`)).toBe(left);
  },
);

test("a pattern that is slow for other engines stops nobody", async () => {
  const bench = new ToolBench();
  const name = "a".repeat(200);
  await said(bench, `touch ${name}; tar cf x.tar ${name}`);
  const slow = `${"*a".repeat(30)}b`;
  expect(await said(bench, `tar tf x.tar --exclude='${slow}'`)).toBe(name);
});

test.each([
  ["tar xf nope.tar", "No such file"],
  ["echo text > x; tar xf x", "does not look like a tar archive"],
  ["tar cf x.tar", "Cowardly refusing"],
  ["tar -f x", "You must specify one of"],
  ["tar cjf x.tar a", "only gzip"],
  ["tar --frob", "unrecognized option 'frob'"],
  ["tar xf", "requires an argument"],
])("%s is refused", async (command, words) => {
  const text = await said(new ToolBench(), command);
  expect(text).toMatch(/^Exit code 2\n/);
  expect(text).toContain(words);
});

test("a small file that stands for a huge one is not unpacked", async () => {
  const bench = new ToolBench();
  // 40 MB of zeros, in pieces that no limit of the workspace forbids.
  const bytes = await bench.inside(async (workspace) => {
    const zeros = new Uint8Array(1024 * 1024);
    const zip = new CompressionStream("gzip");
    const writer = zip.writable.getWriter();
    const all = new Response(zip.readable).arrayBuffer();
    for (let i = 0; i < 40; i++) await writer.write(zeros);
    await writer.close();
    const packed = new Uint8Array(await all);
    workspace.write("/workspace/bomb.gz", packed);
    return packed.length;
  });
  expect(bytes).toBeLessThan(100_000);
  expect(await said(bench, "tar xf bomb.gz")).toContain("an archive may hold 33554432 bytes");
  expect(await said(bench, "gunzip -k bomb.gz")).toMatch(/^Exit code [12]/);
  expect(await said(bench, "ls")).toBe("bomb.gz");
});
