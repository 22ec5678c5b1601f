/** The shell in a session: noted before it runs, never run twice, stopped by an interrupt. */
import "just-bash";
import { ulid } from "ulid";
import { expect, onTestFinished, test } from "vitest";
import { onFaultPoint } from "../../src/session/fault-points.ts";
import { text, toolUse } from "../../src/standin/replies.ts";
import { builtinToolset } from "../../src/tools/registry.ts";
import { Workspace } from "../../src/workspace/workspace.ts";
import { type TestSession, useSessions } from "../support/sessions.ts";

const sessions = useSessions();

const create = (): Promise<TestSession> => sessions.create({ tools: builtinToolset() });

const bash = (command: string) => toolUse("Bash", { command });

const file = (session: TestSession, path: string): Promise<string | null> =>
  session.inside((state) => {
    const workspace = new Workspace(state.storage);
    return workspace.stat(path) ? new TextDecoder().decode(workspace.read(path)) : null;
  });

/** The text of the result that the newest request brought. */
function result(i: number): string | undefined {
  const [block] = sessions.asked(i);
  return (block?.content as { text: string }[] | undefined)?.[0]?.text;
}

const typesOf = (session: TestSession) => session.reader.rows.map(({ type }) => type);

test("what one call leaves is there in the next, also for a new object", async () => {
  const session = await create();
  sessions.script(bash("mkdir d; cd d; export A=1; echo x > f"), text("ok"));
  await session.turn("begin");
  await session.crash();
  sessions.script(bash("pwd; echo $A; cat f; history | wc -l"), text("ok"));
  await session.turn("go on");
  expect(result(3)).toBe("/workspace/d\n1\nx\n2");
});

test("output reaches followers while the script runs, and the row has all of it", async () => {
  const session = await create();
  sessions.script(bash("echo one; sleep 0.1; echo two"), text("ok"));
  await session.turn("go");
  const { frames } = session.reader;
  const shown = frames.filter(({ event }) => event === "tool.output");
  const texts = shown.map(({ data }) => JSON.parse(data).data);
  expect(texts).toEqual([
    { id: "call_3_0", text: "one\n" },
    { id: "call_3_0", text: "two\n" },
  ]);
  const ended = frames.findIndex(({ event }) => event === "tool.completed");
  expect(shown.every((frame) => frames.indexOf(frame) < ended)).toBe(true);
  expect(result(1)).toBe("one\ntwo");
});

test("a crash in the middle of a script: it was started once, and the model is told", async () => {
  const session = await create();
  sessions.script(bash("echo x >> log; sleep 60; echo y >> log"), text("I see"));
  const sent = await session.send("go");
  await session.reader.row("tool.started");
  await session.crash();
  expect(await session.outcome(sent)).toMatchObject({ outcome: "completed" });
  expect(result(1)).toContain("whether it took effect is not known");
  expect(typesOf(session).filter((type) => type === "tool.started")).toHaveLength(1);
  expect((await file(session, "/workspace/log")) ?? "x\n").toBe("x\n");
});

for (const point of ["tool", "tool_ran"] as const) {
  test(`a crash at ${point}: the script has run once`, async () => {
    const session = await create();
    // A step that is lost is asked for again. While it sleeps, what it did comes to the disk.
    sessions.answer(({ text: body }) =>
      body.includes("tool_result") ? text("ok") : bash("echo x >> log; sleep 0.01"),
    );
    let left = 1;
    onFaultPoint((object, reached) => {
      if (object.id.name !== `${session.account}/${session.id}` || reached !== point) return;
      left -= 1;
      if (left === 0) object.abort("crash");
    });
    onTestFinished(() => onFaultPoint(null));
    // The object may die before it has answered, and is asked again as a Worker does.
    const submission = ulid();
    const send = () => session.send("go", { submission });
    expect(await session.outcome(await send().catch(send))).toMatchObject({ outcome: "completed" });
    expect(await file(session, "/workspace/log")).toBe("x\n");
    expect(typesOf(session).filter((type) => type === "tool.started")).toHaveLength(1);
    const [ended] = session.reader.rows.filter((row) => row.type === "tool.ended");
    expect(ended?.body).toMatchObject({ status: point === "tool" ? "ok" : "unknown" });
  });
}

test("an interrupt stops a script, and nothing of it goes on behind the turn", async () => {
  const session = await create();
  sessions.script(
    bash("echo begun; for i in $(seq 2000); do sleep 0.02; echo $i > n; done; touch never"),
  );
  const sent = await session.send("go");
  await session.reader.until(() =>
    session.reader.frames.some(({ event }) => event === "tool.output"),
  );
  await session.interrupt();
  expect(await session.outcome(sent)).toMatchObject({ outcome: "interrupted" });
  const ended = await session.reader.row("tool.ended");
  expect(ended.body.status).toBe("interrupted");
  // Another script runs as it is stopped: it sees what is left of the first.
  sessions.script(
    bash('before=$(cat n 2>&1); sleep 0.2; [ "$before" = "$(cat n 2>&1)" ] && ls'),
    text("ok"),
  );
  await session.turn("look");
  expect(result(2)).not.toContain("never");
  expect(result(2)).not.toContain("Exit code");
});
