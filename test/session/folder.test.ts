/** The folder in which a session's tools begin: of the session, of a change, and of a turn. */
import { expect, test } from "vitest";
import type { Permissions } from "../../src/shared/tools.ts";
import { text, thinking, toolUse } from "../../src/standin/replies.ts";
import { builtinToolset, harnessOf } from "../../src/tools/registry.ts";
import { Workspace } from "../../src/workspace/workspace.ts";
import { held, type TestSession, toolset, useSessions } from "../support/sessions.ts";

const sessions = useSessions();
const tools = builtinToolset();

const create = (cwd?: string, permissions?: Permissions): Promise<TestSession> =>
  sessions.create({
    tools,
    ...(permissions ? { permissions } : {}),
    config: { harness: harnessOf(tools), ...(cwd === undefined ? {} : { cwd }) },
  });

const bash = (command: string) => toolUse("Bash", { command });

/** The texts of the results that request `i` brought. */
const results = (i: number) =>
  sessions.asked(i).map(({ content }) => (content as { text: string }[])[0]?.text);

const cuts = ({ reader }: TestSession): string[] =>
  reader.rows.flatMap((row) => (row.type === "context.cut" ? [row.body.reason] : []));

/** What request `i` says of the current directory. */
const told = (i: number): string =>
  /(current directory[^.]*)\./.exec(sessions.requests[i]?.text ?? "")?.[1] ?? "";

const isFolder = (session: TestSession, path: string): Promise<boolean> =>
  session.inside(({ storage }) => new Workspace(storage).stat(path)?.type === "directory");

test("tools begin in the session's folder, which is made on first use", async () => {
  const session = await create("/workspace/app/src");
  expect((await session.stub.describe())?.cwd).toBe("/workspace/app/src");
  sessions.script(
    [bash("pwd"), toolUse("Write", { file_path: "a.txt", content: "1" }), toolUse("LS", {})],
    text("done"),
  );
  await session.turn("go");
  expect(results(1)[0]).toBe("/workspace/app/src");
  expect(results(1)[1]).toContain("/workspace/app/src/a.txt");
  expect(told(0)).toBe("current directory is /workspace/app/src");
  expect(sessions.requests[0]?.text).not.toContain("which is also the current directory");
  expect(await isFolder(session, "/workspace/app/src")).toBe(true);
});

test("a tool of files makes it as well", async () => {
  const session = await create("/workspace/app");
  sessions.script(toolUse("Glob", { pattern: "*" }), text("done"));
  await session.turn("go");
  expect(results(1)[0]).toContain("No files found");
  expect(await isFolder(session, "/workspace/app")).toBe(true);
});

test("without one they begin in the workspace", async () => {
  const session = await create();
  expect((await session.stub.describe())?.cwd).toBe("/workspace");
  sessions.script(bash("pwd"), text("done"));
  await session.turn("go");
  expect(results(1)).toEqual(["/workspace"]);
  expect(told(0)).toBe("current directory");
});

test("a turn's folder is the session's from then on, and the shell's variables stay", async () => {
  const session = await create();
  sessions.script([thinking("hm"), bash("export A=1; cd /tmp")], text("one"));
  await session.turn("one");
  sessions.script(
    [thinking("hm"), bash('echo "$PWD $A"')],
    text("two"),
    bash("pwd"),
    text("three"),
  );
  await session.turn("two", { cwd: "/workspace/b" });
  await session.turn("three");
  expect(results(3)).toEqual(["/workspace/b 1"]);
  expect(results(5)).toEqual(["/workspace/b"]);
  expect((await session.stub.describe())?.cwd).toBe("/workspace/b");
  expect(cuts(session)).toEqual(["system"]);
  expect([0, 2, 4].map(told)).toEqual([
    "current directory",
    "current directory is /workspace/b",
    "current directory is /workspace/b",
  ]);
});

test("each turn that names it begins there, wherever the shell has gone", async () => {
  const session = await create();
  sessions.script(
    bash("mkdir x; cd x"),
    text("one"),
    bash("pwd"),
    text("two"),
    bash("pwd"),
    text("3"),
  );
  await session.turn("one", { cwd: "/workspace/b" });
  await session.turn("two");
  await session.turn("three", { cwd: "/workspace/b" });
  expect(results(3)).toEqual(["/workspace/b/x"]);
  expect(results(5)).toEqual(["/workspace/b"]);
  expect(cuts(session)).toEqual([]);
});

test("where the shell has gone it stays, as long as nobody names a folder", async () => {
  const session = await create("/workspace/app");
  const go = [bash("mkdir x; cd x"), text("one"), bash("pwd"), text("two")];
  sessions.script(...go, ...go);
  await session.turn("one");
  await session.turn("two");
  expect(results(3)).toEqual(["/workspace/app/x"]);
  await session.update({ cwd: "/workspace/b" });
  await session.turn("three");
  await session.turn("four");
  expect(results(7)).toEqual(["/workspace/b/x"]);
});

test("a change waits for the next message, and for one that waits until it is taken", async () => {
  const session = await create();
  const { reply, gate } = held({ block: 0, delta: 1 }, [
    text("hm", { deltas: ["h", "m"] }),
    bash("pwd"),
  ]);
  sessions.script(reply, text("one"), bash("pwd"), text("two"));
  await session.send("one");
  await session.reader.until(() => session.reader.previewed === "h");
  await session.update({ cwd: "/workspace/c" });
  const second = await session.send("two");
  await session.open(gate);
  await session.outcome(second);
  expect(results(1)).toEqual(["/workspace"]);
  expect(results(3)).toEqual(["/workspace/c"]);
  expect(cuts(session)).toEqual(["system"]);
});

test("a turn of the client's own tools is told of no folder", async () => {
  const session = await sessions.create({ tools: toolset("a") });
  sessions.script(text("one"), text("two"));
  await session.turn("one");
  await session.turn("two", { cwd: "/workspace/b" });
  expect(cuts(session)).toEqual([]);
});

test("a file in its place is left alone, and the shell begins in the workspace", async () => {
  const session = await create();
  sessions.script(toolUse("Write", { file_path: "b", content: "1" }), text("one"));
  await session.turn("one");
  sessions.script(bash("pwd"), text("two"));
  await session.turn("two", { cwd: "/workspace/b/c" });
  expect(results(3)[0]).toContain("/workspace");
  expect(results(3)[0]).not.toContain("/workspace/b");
});

test("rules of permissions take paths from there", async () => {
  const session = await create("/workspace/app", {
    mode: "bypassPermissions",
    allow: [],
    ask: [],
    deny: ["Write(app/secret.txt)"],
  });
  sessions.script(
    [
      toolUse("Write", { file_path: "secret.txt", content: "1" }),
      toolUse("Write", { file_path: "open.txt", content: "1" }),
    ],
    text("done"),
  );
  await session.turn("go");
  expect(results(1)[0]).toContain("denied by Write(app/secret.txt)");
  expect(results(1)[1]).toContain("File created");
});

test("an object that died begins in the same folder", async () => {
  const session = await create();
  sessions.script(text("one"), bash("pwd"), text("two"));
  await session.turn("one", { cwd: "/workspace/b" });
  await session.update({ cwd: "/workspace/c" });
  await session.crash();
  await session.turn("two");
  expect(results(2)).toEqual(["/workspace/c"]);
});
