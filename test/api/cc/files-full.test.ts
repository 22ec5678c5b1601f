/** Files of a session whose storage is full: nothing new is taken, by any way, and space can be made. */
import { runInDurableObject } from "cloudflare:test";
import { zipSync } from "fflate";
import { expect, test } from "vitest";
import { text, toolUse } from "../../../src/standin/replies.ts";
import { serveRepository } from "./files-git-server.ts";
import {
  bytesOf,
  paths,
  postForm,
  put,
  putAll,
  refused,
  streamOf,
  textOf,
} from "./files-support.ts";
import {
  get,
  modelCall,
  newSession,
  objectOf,
  post,
  send,
  standin,
  withStandin,
} from "./server.ts";

withStandin();

/** Lets the object believe that its database has this size. */
async function sized(session: string, bytes: number): Promise<void> {
  await runInDurableObject(await objectOf(session), (_, { storage }) => {
    Object.defineProperty(storage.sql, "databaseSize", { configurable: true, value: bytes });
  });
}

const FULL = [507, "session_full"];

test("a full session takes no more files, and they can be read, moved, shortened and removed", async () => {
  const session = await newSession();
  await putAll(session, { "a.txt": "A", "b.txt": "B" });
  await sized(session, 9_500_000_001);
  const archive = new Uint8Array(zipSync({ "new.txt": bytesOf("x") }));
  const zip = { "content-type": "application/zip" };
  expect(await refused(await put(session, "new.txt", "x"))).toEqual(FULL);
  expect(await refused(await put(session, "a.txt", "longer"))).toEqual(FULL);
  expect(await refused(await put(session, "large", new Uint8Array(2_000_000)))).toEqual(FULL);
  expect(await refused(await postForm(session, { "new.txt": "x" }))).toEqual(FULL);
  expect(await refused(await send("POST", `${session}/files/zip`, streamOf(archive), zip))).toEqual(
    FULL,
  );
  expect(await refused(await post(`${session}/files/directories`, { path: "dir" }))).toEqual(FULL);
  await serveRepository({ "README.md": "# new\n" });
  const clone = { url: "https://git.example/repo.git" };
  expect(await refused(await post(`${session}/files/git`, clone))).toEqual(FULL);
  expect(await paths(session)).toEqual(["a.txt", "b.txt"]);
  expect((await get(`${session}/files.zip`)).status).toBe(200);
  expect((await post(`${session}/files/move`, { from: "a.txt", to: "c.txt" })).status).toBe(200);
  expect((await put(session, "c.txt", "")).status).toBe(200);
  expect((await send("DELETE", `${session}/files/b.txt`)).status).toBe(200);
  expect(await paths(session)).toEqual(["c.txt"]);
});

test("a tool that would write is told, its turn ends, and no answer lets a turn go on", async () => {
  const session = await newSession({ permissions: { mode: "default" } });
  const write = (name: string) => toolUse("Write", { file_path: name, content: "xx" });
  standin.script(write("a.txt"), [write("b.txt"), write("c.txt")]);
  await post(`${session}/turns`, { input: "Write." });
  const allow = (...ids: string[]) =>
    post(`${session}/confirmations`, {
      confirmations: ids.map((tool_call_id) => ({ tool_call_id, decision: "allow" })),
    });
  const asked = await (await allow("call_3_0")).json<{ outcome: string }>();
  expect(asked.outcome).toBe("requires_action");
  await sized(session, 9_600_000_000);
  const { data } = await (await get(`${session}/pending`)).json<{ data: { id: string }[] }>();
  const ids = data.map(({ id }) => id);
  expect(await refused(await allow(...ids))).toEqual(FULL);
  // What was accepted before comes to its end.
  await sized(session, 9_499_999_999);
  standin.script(text("Full."));
  const ended = await allow(...ids);
  expect(await ended.json()).toMatchObject({ outcome: "completed" });
  const results = JSON.stringify(modelCall(-1).messages.at(-1));
  expect(results).toContain("The session's storage is full.");
  expect(await textOf(session, "b.txt")).toBeNull();
  expect(await textOf(session, "a.txt")).toBe("xx");
});
