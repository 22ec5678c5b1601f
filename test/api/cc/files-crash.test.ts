/** The object ends at every point of a call that changes files: all of the call is there, once, or nothing. */

import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { zipSync } from "fflate";
import { expect, onTestFinished, test } from "vitest";
import { accountId } from "../../../src/http/auth.ts";
import { sessionStub } from "../../../src/session/calls.ts";
import { type FaultPoint, onFaultPoint } from "../../../src/session/fault-points.ts";
import { DEFAULT_ACCOUNT } from "../../../src/shared/config-readers.ts";
import { Workspace } from "../../../src/workspace/workspace.ts";
import { serveRepository } from "./files-git-server.ts";
import {
  bytesOf,
  list,
  noise,
  paths,
  postForm,
  put,
  putAll,
  streamOf,
  textOf,
} from "./files-support.ts";
import { get, idOf, newSession, objectOf, post, send, withStandin } from "./server.ts";

withStandin();

/** Ends the session's object at the `nth` time that it comes to `point`; tells how often it was there. */
async function crashAt(session: string, point: FaultPoint, nth = 1): Promise<() => number> {
  const { id } = await objectOf(session);
  let count = 0;
  onFaultPoint((object, reached) => {
    if (object.id.toString() !== id.toString() || reached !== point) return;
    count += 1;
    if (count === nth) object.abort("crash");
  });
  onTestFinished(() => onFaultPoint(null));
  return () => count;
}

const CALLS: Record<string, (session: string) => Promise<Response>> = {
  put: (session) => put(session, "new.txt", "new"),
  "put if new": (session) => put(session, "new.txt", "new", { "if-none-match": "*" }),
  form: (session) => postForm(session, { "new.txt": "new", "more/x.txt": "x" }),
  zip: (session) =>
    send(
      "POST",
      `${session}/files/zip`,
      streamOf(new Uint8Array(zipSync({ "new.txt": bytesOf("new") }))),
      {
        "content-type": "application/zip",
      },
    ),
  move: (session) => post(`${session}/files/move`, { from: "old.txt", to: "new.txt" }),
  delete: (session) => send("DELETE", `${session}/files/old.txt`),
  directory: (session) => post(`${session}/files/directories`, { path: "new/dir" }),
};

const AFTER: Record<string, string[]> = {
  put: ["new.txt", "old.txt"],
  "put if new": ["new.txt", "old.txt"],
  form: ["more", "more/x.txt", "new.txt", "old.txt"],
  zip: ["new.txt", "old.txt"],
  move: ["new.txt"],
  delete: [],
  directory: ["new", "new/dir", "old.txt"],
};

for (const point of ["commit", "committed", "answer"] as const) {
  test.each(Object.keys(CALLS))(`a %s whose object ends at ${point} is done once`, async (name) => {
    const session = await newSession();
    await putAll(session, { "old.txt": "old" });
    const reached = await crashAt(session, point);
    const response = await CALLS[name]?.(session);
    expect(response?.ok).toBe(true);
    expect(reached()).toBeGreaterThan(0);
    onFaultPoint(null);
    expect(await paths(session)).toEqual(AFTER[name]);
    if (name === "move") expect(await textOf(session, "new.txt")).toBe("old");
  });
}

test.each([
  ["commit", 1],
  ["committed", 1],
  ["commit", 2],
  ["committed", 2],
  ["answer", 1],
] as const)("a clone whose object ends at %s, the time %i, is done once", async (point, nth) => {
  const session = await newSession();
  await serveRepository({ "README.md": "# new\n" });
  const reached = await crashAt(session, point, nth);
  const response = await post(`${session}/files/git`, { url: "https://git.example/repo.git" });
  expect([response.status, await response.json()]).toMatchObject([201, { path: "repo" }]);
  expect(reached()).toBeGreaterThanOrEqual(nth);
  onFaultPoint(null);
  expect(await textOf(session, "repo/README.md")).toBe("# new\n");
  const left = await runInDurableObject(await objectOf(session), (_, { storage }) =>
    new Workspace(storage).list("/tmp"),
  );
  expect(left).toEqual([]);
});

test("a call whose answer was lost is answered like the first one, and does nothing more", async () => {
  const session = await newSession();
  await putAll(session, { "a.txt": "A", "b.txt": "B" });
  const account = await accountId(DEFAULT_ACCOUNT);
  const { files } = sessionStub(env, account, idOf(session).replace("sess_", ""));
  const asked = { from: "a.txt", to: "c.txt", overwrite: false, once: { key: "k", hash: "1" } };
  const moved = await files("move", asked);
  expect(moved).toMatchObject({ ok: true, replayed: false, value: { path: "c.txt" } });
  expect(await files("move", asked)).toEqual({ ...moved, replayed: true });
  const other = { ...asked, once: { key: "k", hash: "2" } };
  expect(await files("move", other)).toMatchObject({ ok: false, error: { code: "key_conflict" } });
  const later = { ...asked, once: { key: "l", hash: "1" } };
  expect(await files("move", later)).toMatchObject({ ok: false, error: { code: "not_found" } });
  const removal = { path: "b.txt", recursive: false };
  expect(await files("remove", { ...removal, again: false })).toMatchObject({ ok: true });
  expect(await files("remove", { ...removal, again: true })).toMatchObject({ ok: true });
  expect(await files("remove", { ...removal, again: false })).toMatchObject({ ok: false });
  expect(await paths(session)).toEqual(["c.txt"]);
});

test("a download goes on where the object that gave it ended", async () => {
  const session = await newSession();
  const bytes = noise(5_000_000);
  await put(session, "a", bytes);
  const reached = await crashAt(session, "answer", 4);
  const got = new Uint8Array(await (await get(`${session}/files/a`)).arrayBuffer());
  expect(reached()).toBeGreaterThan(4);
  expect(Buffer.from(got).equals(Buffer.from(bytes))).toBe(true);
});

test.each(["commit", "committed"] as const)(
  "a large upload whose object ends at %s is not sent again here, and is whole or not there",
  async (point) => {
    const session = await newSession();
    await putAll(session, { "old.txt": "old" });
    await crashAt(session, point);
    const response = await put(session, "large", noise(4_000_000));
    expect([response.status, response.headers.get("retry-after")]).toEqual([503, "1"]);
    onFaultPoint(null);
    const there = (await list(session)).data.filter(({ name }) => name === "large");
    expect(there.map(({ size }) => size)).toEqual(point === "commit" ? [] : [4_000_000]);
    expect((await put(session, "large", noise(4_000_000))).ok).toBe(true);
  },
);
