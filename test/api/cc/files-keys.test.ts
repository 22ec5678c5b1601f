/** `Idempotency-Key` on what changes files: the same request is done once, and another is refused. */
import { zipSync } from "fflate";
import { afterEach, expect, test } from "vitest";
import { FAR_FUTURE, FakeClock } from "../../support/fake-clock.ts";
import { bytesOf, list, paths, putAll, refused, streamOf, textOf } from "./files-support.ts";
import { newSession, post, send, withStandin } from "./server.ts";

withStandin();

let clock: FakeClock | null = null;
afterEach(() => {
  clock?.restore();
  clock = null;
});

const KEY = { "idempotency-key": "k" };

function form(session: string, files: Record<string, string>, boundary = "B", query = "") {
  const parts = Object.entries(files).map(
    ([name, content]) =>
      `--${boundary}\r\nContent-Disposition: form-data; name="f"; filename="${name}"\r\n\r\n${content}\r\n`,
  );
  const type = `multipart/form-data; boundary=${boundary}`;
  const body = `${parts.join("")}--${boundary}--\r\n`;
  return send("POST", `${session}/files${query}`, body, { ...KEY, "content-type": type });
}

const unpack = (session: string, files: Record<string, string>, query = "") => {
  const entries = Object.entries(files).map(([path, text]) => [path, bytesOf(text)]);
  const archive = zipSync(Object.fromEntries(entries), { mtime: "2026-01-01" });
  const type = { "content-type": "application/zip" };
  return send("POST", `${session}/files/zip${query}`, streamOf(new Uint8Array(archive)), {
    ...KEY,
    ...type,
  });
};

const replayed = (response: Response) => response.headers.get("idempotency-replayed");

type Ask = (session: string) => Promise<Response>;

const REQUESTS: [name: string, first: Ask, others: Ask[]][] = [
  [
    "a form",
    (session) => form(session, { "new.txt": "1" }),
    [
      (session) => form(session, { "new.txt": "2" }),
      (session) => form(session, { "newer.txt": "1" }),
      (session) => form(session, { "new.txt": "1" }, "B", "?path=dir"),
    ],
  ],
  [
    "an archive",
    (session) => unpack(session, { "new.txt": "1" }),
    [
      (session) => unpack(session, { "new.txt": "2" }),
      (session) => unpack(session, { "new.txt": "1" }, "?path=dir"),
    ],
  ],
  [
    "a move",
    (session) => post(`${session}/files/move`, { from: "a.txt", to: "new.txt" }, KEY),
    [(session) => post(`${session}/files/move`, { from: "new.txt", to: "a.txt" }, KEY)],
  ],
  [
    "a folder",
    (session) => post(`${session}/files/directories`, { path: "new.txt" }, KEY),
    [(session) => post(`${session}/files/directories`, { path: "newer" }, KEY)],
  ],
];

test.each(REQUESTS)("%s that comes again is answered and not done", async (_, ask, others) => {
  const session = await newSession();
  await putAll(session, { "a.txt": "A" });
  const first = await ask(session);
  expect([first.ok, replayed(first)]).toEqual([true, null]);
  for (const other of others) {
    expect(await refused(await other(session))).toEqual([409, "idempotency_key_conflict"]);
  }
  // What has happened to the files since stays as it is.
  expect((await send("DELETE", `${session}/files/new.txt`)).status).toBe(200);
  const left = await paths(session);
  const again = await ask(session);
  expect([again.status, replayed(again)]).toEqual([first.status, "true"]);
  expect(await again.json()).toEqual(await first.json());
  expect(await paths(session)).toEqual(left);
});

test("a key is kept for a day, for its own route, and not for what was refused", async () => {
  clock = new FakeClock(FAR_FUTURE);
  const session = await newSession();
  await putAll(session, { "a.txt": "A" });
  const move = (from: string, to: string) => post(`${session}/files/move`, { from, to }, KEY);
  const folder = (path: string) => post(`${session}/files/directories`, { path }, KEY);
  expect(await refused(await move("none", "x"))).toEqual([404, "not_found"]);
  expect((await move("a.txt", "b.txt")).status).toBe(200);
  expect((await folder("dir")).status).toBe(201);
  clock.advance(23 * 60 * 60 * 1000);
  expect(replayed(await move("a.txt", "b.txt"))).toBe("true");
  clock.advance(2 * 60 * 60 * 1000);
  expect(await refused(await move("a.txt", "b.txt"))).toEqual([404, "not_found"]);
  expect(replayed(await move("b.txt", "c.txt"))).toBeNull();
  expect(await textOf(session, "c.txt")).toBe("A");
});

test("an answer that is longer than a row is kept whole", async () => {
  const session = await newSession();
  const folder = ["ü".repeat(120), "b".repeat(240), "c".repeat(240)].join("/");
  const names = Array.from({ length: 1_500 }, (_, i) => `${i}${"d".repeat(200)}`);
  const files = Object.fromEntries(names.map((name) => [name, ""]));
  const ask = () => unpack(session, files, `?path=${encodeURIComponent(folder)}`);
  const first = await ask();
  const again = await ask();
  expect(replayed(again)).toBe("true");
  const answer = await first.text();
  expect(new TextEncoder().encode(answer).length).toBeGreaterThan(1_800_000);
  expect(await again.text()).toBe(answer);
  expect((await list(session, "?recursive=true&limit=1000")).has_more).toBe(true);
});

test("a form is the same with another boundary, and a key of the wrong form is refused", async () => {
  const session = await newSession();
  const first = await form(session, { "x.txt": "1" }, "one");
  const again = await form(session, { "x.txt": "1" }, "two");
  expect([first.status, again.status, replayed(again)]).toEqual([201, 201, "true"]);
  for (const path of ["files", "files/zip", "files/move", "files/directories", "files/git"]) {
    const wrong = await post(`${session}/${path}`, {}, { "idempotency-key": "a b" });
    expect(await refused(wrong)).toEqual([400, "invalid_idempotency_key"]);
  }
});
