/** `POST /sessions/{name}/repo`: the folder in which a session works. */
import { expect, test } from "vitest";
import { text, toolUse } from "../../src/standin/replies.ts";
import { standin, withStandin } from "../api/cc/server.ts";
import { chat, dataOf, get, newSession, post, problemOf } from "../api/code/client.ts";

withStandin();

const move = (session: string, working_dir: string) => post(`${session}/repo`, { working_dir });

/** A session that has had a turn, in which it made a folder. */
async function begun(): Promise<string> {
  const session = await newSession();
  standin.script(toolUse("Write", { file_path: "app/src/main.txt", content: "main" }), text("Ok."));
  await chat(session, "Make it");
  return session;
}

test("before its first turn a session cannot be moved", async () => {
  expect(await problemOf(move(await newSession(), "."))).toMatchObject({
    status: 400,
    detail: "Session has no claude session_id yet",
  });
});

test("tools, the list of files and uploads begin in the new folder", async () => {
  const session = await begun();
  const moved = await dataOf(move(session, "app"));
  expect(moved).toMatchObject({ working_dir: "/workspace/app", status: "active" });
  expect(await dataOf(get(session))).toEqual(moved);
  expect(await dataOf(get(`${session}/files`))).toMatchObject([{ name: "src", path: "src" }]);
  expect(await (await get(`${session}/files/src/main.txt`)).text()).toBe("main");

  standin.script(toolUse("Bash", { command: "pwd" }), text("There."));
  const { tools_used } = await chat(session, "Where are you?");
  expect(tools_used).toHaveLength(1);
  expect(JSON.stringify(standin.requests.at(-1)?.body)).toContain("/workspace/app");
  expect((await dataOf(move(session, "/workspace"))).working_dir).toBe("/workspace");
});

test.each(["..", "/etc", "app/../../x", "/workspace/.."])("%j is outside", async (working_dir) => {
  expect(await problemOf(move(await begun(), working_dir))).toMatchObject({
    status: 400,
    detail: "Directory outside approved path",
  });
});

test("a folder that is not there, and a file, are none", async () => {
  const session = await begun();
  for (const path of ["nowhere", "app/src/main.txt", "app/src/main.txt/x"]) {
    expect(await problemOf(move(session, path))).toMatchObject({
      status: 400,
      detail: `Directory ${path} does not exist`,
    });
  }
});

test("the path has at most 1,024 characters, and nothing else is taken", async () => {
  const session = await newSession();
  const long = await problemOf(move(session, "x".repeat(1_025)));
  expect(long.errors).toMatchObject([{ field: "body -> working_dir", type: "string_too_long" }]);
  const more = await problemOf(post(`${session}/repo`, { working_dir: ".", x: 1 }));
  expect(more.errors).toMatchObject([{ field: "body -> x", type: "extra_forbidden" }]);
});
