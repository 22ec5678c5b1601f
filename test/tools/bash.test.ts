/** The shell as the model uses it: what a script prints, what it leaves behind, where it ends. */
import "just-bash";
import { expect, onTestFinished, test } from "vitest";
import { LIMITS } from "../../src/workspace/workspace.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { ToolBench, textOf } from "./context.ts";

const run = async (bench: ToolBench, command: string, given = {}) => {
  const result = await bench.call("Bash", { command }, given);
  return { text: textOf(result), is_error: result.is_error };
};

/** The text of a script in a session of its own. */
const said = async (command: string): Promise<string> => (await run(new ToolBench(), command)).text;

const fakeClock = (): FakeClock => {
  const clock = new FakeClock();
  onTestFinished(() => clock.restore());
  return clock;
};

test("a result has the exit code if there is one, then what was printed, then the errors", async () => {
  const bench = new ToolBench();
  expect(await run(bench, "echo a; echo b >&2; echo c")).toEqual({
    text: "a\nc\nb",
    is_error: false,
  });
  expect(await run(bench, "echo a; ls nope")).toEqual({
    text: "Exit code 2\na\nls: nope: No such file or directory",
    is_error: true,
  });
  expect(await run(bench, "true")).toEqual({
    text: "(Bash completed with no output)",
    is_error: false,
  });
});

// Each of these goes wrong when a command's output is sent elsewhere without care.
test.each([
  [
    "a pipe",
    "printf 'b\\na\\n' | sort | head -1; seq 3 | while read n; do echo $n; done | tail -1",
    "a\n3",
  ],
  [
    "redirects",
    "echo a > f 2>&1; ls nope >> f 2>&1; cat f; echo x 2>/dev/null",
    "a\nls: nope: No such file or directory\nx",
  ],
  ["crossed streams", "{ echo out; echo err >&2; } 3>&1 1>&2 2>&3 | cat", "err\nout"],
  ["substitution", 'x=$(echo in; echo no >&2); echo "[$x]"; echo `echo old`', "[in]\nold\nno"],
  [
    "loops",
    "for i in 1 2 3; do [ $i = 2 ] && continue; echo $i; done; until false; do break; done; for ((i=0;i<2;i++)); do echo $i; done",
    "1\n3\n0\n1",
  ],
  [
    "conditions",
    "if echo asked; then echo yes; else echo no; fi; case x in y) echo y;; *) echo star;; esac; false || echo or",
    "asked\nyes\nstar\nor",
  ],
  ["functions", 'f() { echo "in $1"; return 3; }; f a; echo $?; f b | tr a-z A-Z', "in a\n3\nIN B"],
  ["a subshell", '(cd /tmp; X=1; echo sub); echo "$X"; pwd', "sub\n\n/workspace"],
  ["set -e", "set -e; false || true; echo a; false; echo never", "Exit code 1\na"],
  [
    "set -u",
    "set -u; echo a; echo $nothing; echo never",
    "Exit code 1\na\nbash: nothing: unbound variable",
  ],
  ["exit in a loop", "for i in 1 2; do echo $i; exit 4; done; echo never", "Exit code 4\n1"],
  ["exec", "exec 3>&1; echo a >&3; exec > f; echo hidden; cat f >&3", "a\nhidden"],
  [
    "a here document",
    'cat <<X\na $((1+1))\nX\nread l <<< b; echo $l; while read n; do echo "<$n>"; done < <(seq 2)',
    "a 2\nb\n<1>\n<2>",
  ],
  [
    "other scripts",
    "printf 'echo s $1' > s.sh; bash s.sh 1; bash -c 'echo c' | cat; eval 'echo e'; . ./s.sh; chmod +x s.sh; ./s.sh 2",
    "s 1\nc\ne\ns\ns 2",
  ],
  [
    "UTF-8 and bytes",
    "echo é; echo é | cat; printf 'ü' | wc -c; head -c 4 /dev/urandom | wc -c",
    "é\né\n2\n4",
  ],
  [
    "a file that cannot be opened",
    "echo x > no/f; echo $?; echo y > /etc/f || echo or; f() { echo z >> no/h; }; f || echo $?; set -e; ls > no/g 2>&1 || true; ls nope &> g || cat g",
    "1\nor\n1\nls: nope: No such file or directory\nbash: no/f: No such file or directory\nbash: /etc/f: Read-only file system; files are kept in /workspace and /tmp\nbash: no/h: No such file or directory\nbash: no/g: No such file or directory",
  ],
  [
    "redirects of every kind",
    "{ echo a; ls nope; } >a 2>b; cat a b; echo 1 >c; echo 2 >>c; { echo 3; echo 4 >&2; } &>>c; cat c; for i in 5 6; do echo $i; done >c 2>&1; cat <c; echo 7 >c >d; cat c d; set -C; echo 8 >d; echo 9 >|d; cat d; f() { echo in; } >e; f; cat e",
    "a\nls: nope: No such file or directory\n1\n2\n3\n4\n5\n6\n7\n9\nin\nbash: d: cannot overwrite existing file",
  ],
  [
    "the usual tools",
    "echo '{\"a\":[1,2]}' | jq -c .a; echo a,b | awk -F, '{print $2}'; echo abc | sed s/b/x/; echo a | grep -c a",
    "[1,2]\nb\naxc\n1",
  ],
])("%s", async (_, command, text) => {
  expect(await said(command)).toBe(text);
});

test("folder, variables and history stay for the next call; a folder that has gone does not", async () => {
  const bench = new ToolBench();
  await run(bench, "mkdir -p a/b && cd a/b && export NAME='x y' && other=1");
  expect((await run(bench, 'pwd; echo "$NAME$other"; env | grep -c ^NAME=')).text).toBe(
    "/workspace/a/b\nx y1\n1",
  );
  expect((await run(bench, "history 2")).text).toMatch(/^ {4}2 {2}pwd; .*\n {4}3 {2}history 2$/);
  await run(bench, "rm -r /workspace/a");
  expect((await run(bench, "pwd")).text).toBe("/workspace");
  expect((await run(bench, "unset NAME; cd /tmp; echo $NAME")).text).toContain("no output");
  expect((await run(bench, "pwd; cd /bin")).text).toBe("/tmp\nShell cwd was reset to /workspace");
  expect(bench.shell.cwd).toBe("/workspace");
  expect(bench.shell.env.NAME).toBeUndefined();
});

test("what is too long to be kept is said, and the rest is kept", async () => {
  const bench = new ToolBench();
  const { text } = await run(bench, "long=$(head -c 17000 /dev/zero | tr '\\0' x); short=1");
  expect(text).toBe("Too long to be kept for the next call: long.");
  expect(bench.shell.env).toMatchObject({ short: "1" });
  for (let i = 0; i < 12; i++) await run(bench, `echo ${i} ${"#".repeat(600)}`);
  expect(JSON.stringify(bench.shell).length).toBeLessThan(6_000);
});

test("output comes while the script runs, and is the same in the result", async () => {
  const clock = fakeClock();
  const seen: string[] = [];
  let before = "";
  void clock.nextTimer(5_000).then(() => {
    clock.advance(30);
    before = seen.join("");
    clock.advance(5_000);
  });
  const { text } = await run(
    new ToolBench(),
    "for i in 1 2; do echo $i; ls nope; done; sleep 5; echo three",
    { output: (piece: string) => void seen.push(piece) },
  );
  expect(before).toBe(
    "1\nls: nope: No such file or directory\n2\nls: nope: No such file or directory\n",
  );
  expect(seen.join("")).toBe(`${before}three\n`);
  expect(text).toBe(`1\n2\nthree\n${"ls: nope: No such file or directory\n".repeat(2).trimEnd()}`);
});

test("many small pieces of output are joined before they are shown", async () => {
  const bench = new ToolBench();
  const { text } = await run(bench, "for i in $(seq 3000); do echo $i; done");
  expect(text.split("\n")).toHaveLength(3_000);
  expect(bench.output.join("")).toBe(`${text}\n`);
  expect(bench.output.length).toBeLessThan(300);
});

test.each([
  [
    "an endless loop",
    "while true; do :; done",
    /^Exit code 126\nbash: too many commands executed \(>100000\)$/,
  ],
  ["an endless recursion", "f() { f; }; f", /^Exit code 126\n/],
  [
    "a string that doubles",
    "x=aaaaaaaa; for i in $(seq 40); do x=$x$x; done; echo $x",
    /^Exit code 126\n[\s\S]*string/,
  ],
  [
    "a result that grows between commands",
    "head -c 60000 /dev/zero > big; for i in $(seq 9); do cat big big > next; mv next big; done; touch never",
    /^Exit code 126\nbash: .*(size|limit)/,
  ],
  [
    "loops in a loop of awk",
    "awk 'BEGIN { for (i = 0; i < 90000; i++) for (j = 0; j < 90000; j++) x++ }'; touch never",
    /^The command was stopped because its awk, jq or sed program took more than 10000000 steps\.$/,
  ],
  [
    "output",
    "x=$(head -c 9000 /dev/zero | tr '\\0' x); for i in $(seq 200); do echo $x; done; touch never",
    /^The command was stopped because it printed more than 1048576 characters\./,
  ],
])(
  "%s ends with an error, and the session goes on",
  async (_, command, text) => {
    const bench = new ToolBench();
    const ended = await run(bench, command);
    expect(ended.is_error).toBe(true);
    expect(ended.text.slice(0, 200)).toMatch(text);
    expect((await run(bench, "echo alive; ls | grep never")).text).toBe("Exit code 1\nalive");
  },
  60_000,
);

test("a script ends when its time is over, and what it has done by then stays", async () => {
  const clock = fakeClock();
  const bench = new ToolBench();
  void clock.nextTimer(60_000).then(() => clock.advance(20_000));
  const ended = await run(bench, "echo a; touch f; sleep 60; touch g; echo b");
  expect(ended).toEqual({
    text: "Command timed out after 20s, and was stopped.\na",
    is_error: true,
  });
  void clock.nextTimer(60_000).then(() => clock.advance(1_500));
  const asked = await bench.call("Bash", { command: "sleep 60; touch g", timeout: 1_500 });
  expect(textOf(asked)).toBe("Command timed out after 1.5s, and was stopped.");
  expect((await run(bench, "ls")).text).toBe("f");
});

test("an interrupt stops a script at once, also one that waits for nothing", async () => {
  const bench = new ToolBench();
  const sleeping = new AbortController();
  const slept = run(bench, "echo a; sleep 30; touch never", {
    signal: sleeping.signal,
    output: () => sleeping.abort(),
  });
  expect(await slept).toEqual({ text: "The command was interrupted.\na", is_error: true });
  const busy = new AbortController();
  const loop = "echo x > f; echo a; while true; do echo x > f; done; touch never";
  const stopped = await run(bench, loop, {
    signal: busy.signal,
    // Later than the output itself, so the loop runs by then.
    output: () => void setTimeout(() => busy.abort(), 0),
  });
  expect(stopped.text).toBe("The command was interrupted.\na");
  expect((await run(bench, "ls")).text).toBe("f");
});

test("a command that there is not is said to be missing, with those that there are", async () => {
  const { text, is_error } = await run(new ToolBench(), "npm install");
  expect(is_error).toBe(true);
  expect(text).toMatch(
    /^Exit code 127\nbash: npm: command not found\nNo processes of an operating/,
  );
  for (const name of ["git", "jq", "tar", "curl", "rg"]) expect(text).toContain(` ${name} `);
  expect(await said("python3 x.py 2>&1 | head -1")).toContain("bash: python3: command not found\n");
  expect(await said("which python3 || which git tar curl")).toBe(
    "/usr/bin/git\n/usr/bin/tar\n/usr/bin/curl",
  );
  const background = await new ToolBench().call("Bash", {
    command: "true",
    run_in_background: true,
  });
  expect(textOf(background)).toContain("no background processes");
});

test("a device without an end has one here, and that is said where it matters", async () => {
  const bench = new ToolBench();
  const { text } = await run(bench, "head -c 1000000 /dev/zero | wc -c");
  expect(text).toBe("65536\nNote: /dev/zero gives 65536 bytes only.");
  expect((await run(bench, "head -c 16 /dev/zero | wc -c")).text).toBe("16");
});

test("a long output is in a file, with its head and tail in the result", async () => {
  const bench = new ToolBench();
  const { text } = await run(bench, "seq 20000; git init -q .; git status -s");
  expect(text.length).toBeLessThan(31_000);
  const path = "/workspace/.ledge/output/call_1_1.txt";
  expect(text).toMatch(/^1\n2\n3\n/);
  expect(text).toMatch(/\n19999\n20000$/);
  const [, left, all] =
    /\[(\d+) of (\d+) characters are left out here\. All of it is in (\S+)\.\]/.exec(text) ?? [];
  expect(text).toContain(`in ${path}.]`);
  expect(Number(all)).toBe(108_893);
  expect(Number(left)).toBeGreaterThan(70_000);
  expect((await run(bench, `wc -l < ${path}; git status -s`)).text).toBe("19999");
});

test("files outside of the workspace cannot be written, and its limits are the shell's", async () => {
  const bench = new ToolBench();
  expect((await run(bench, "echo x > /etc/passwd")).text).toContain("Read-only file system");
  expect(
    (await run(bench, "rm /bin/ls; mkdir /x; echo q > /dev/null; cat /dev/null; ls /bin/ls")).text,
  ).toMatch(/^\/bin\/ls\n[\s\S]*EROFS/);
  expect((await run(bench, "ln -s /etc/passwd l; cat l")).text).toContain("No such file");
  expect((await run(bench, `echo x > ${"n".repeat(300)}`)).text).toContain(
    "File name too long (A path may hold 1024",
  );
  expect((await run(bench, "echo a > /tmp/t; mkdir /tmp/d; cd /tmp/d")).is_error).toBe(false);
  expect((await run(bench, "cat ../t; pwd")).text).toBe("a\n/tmp/d");
  const small = new ToolBench({ ...LIMITS, fileBytes: 1_000, entries: 4 });
  expect((await run(small, "seq 1000 > f; echo $?")).text).toContain("A file may hold 1000 bytes");
  expect((await run(small, "mkdir new")).is_error).toBe(false);
  expect((await run(small, "mkdir x y z; ls")).text).toContain("A workspace may have 4 files");
});

test("files are copied, moved, linked, marked and removed as in any shell", async () => {
  expect(
    await said(`mkdir -p a/b; echo 1 > a/b/f; cp -r a c; mv c/b/f c/g; ln -s g c/l; cat c/l; readlink c/l
      echo 2 >> c/g; cat a/b/f c/g; chmod 755 c/g; stat -c %a c/g; rm -r a; ls; cp c/g c/g; mv c /tmp/c; ls /tmp/c; echo 3 > r; echo 4 > s; mv r s; cat s; cp s t; cp t s; rm s t
      rmdir /tmp/c; find /tmp -type f; touch x; [ -e x ] && [ ! -e y ] && echo tested; cat nope/x`),
  ).toBe(
    "Exit code 1\n1\ng\n1\n1\n2\n755\nc\nb\ng\nl\n3\n/tmp/c/g\ntested\ncp: 'c/g' and '/workspace/c/g' are the same file\nrmdir: failed to remove '/tmp/c': Directory not empty\ncat: nope/x: No such file or directory",
  );
});
