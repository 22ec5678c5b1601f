/** A repository that is cloned into a session's files: whole, or nothing of it. */
import "isomorphic-git";
import { runInDurableObject } from "cloudflare:test";
import { ulid } from "ulid";
import { expect, test } from "vitest";
import type { GuardedRequester } from "../../../src/net/request.ts";
import { SessionFiles } from "../../../src/session/files.ts";
import { Workspace } from "../../../src/workspace/workspace.ts";
import { ToolBench } from "../../tools/context.ts";
import { gitServer, servedRepository } from "../../tools/git-server.ts";
import { serveRepository } from "./files-git-server.ts";
import { list, paths, putAll, refused, textOf } from "./files-support.ts";
import { newSession, objectOf, post, withStandin } from "./server.ts";

withStandin();

const URL_OF = "https://git.example/repo.git";
const COMMITS = [
  { message: "one\n", files: { "README.md": "# new\n", "src/a.ts": "export {};\n" } },
];

/** Asks the session's own files for a clone, with a git server at hand. */
async function clone(
  session: string,
  asked: { path: string; ref?: string; id?: string },
  through: (request: GuardedRequester, state: DurableObjectState) => GuardedRequester = (request) =>
    request,
) {
  const served = await new ToolBench().inside((files) => servedRepository(files, COMMITS));
  return runInDurableObject(await objectOf(session), (_, state) => {
    const workspace = new Workspace(state.storage);
    const files = new SessionFiles({
      storage: state.storage,
      workspace: () => workspace,
      request: through(gitServer(served).request, state),
      reach: () => {},
      written: () => {},
      deleted: () => false,
    });
    const once = { key: ulid(), hash: "" };
    return files.answer("clone", { url: URL_OF, ref: null, id: "1", once, ...asked });
  });
}

test.each(["repo", "deep/er/repo", "empty", "/workspace"])(
  "a clone comes whole into %s",
  async (path) => {
    const session = await newSession();
    if (path !== "/workspace") await putAll(session, { "other/x": "x" });
    if (path === "empty") await post(`${session}/files/directories`, { path });
    const answer = await clone(session, { path });
    expect(answer).toMatchObject({
      ok: true,
      value: { branch: "main", commit: expect.stringMatching(/^[0-9a-f]{40}$/) },
    });
    const folder = path === "/workspace" ? "" : `${path}/`;
    expect(await textOf(session, `${folder}src/a.ts`)).toBe("export {};\n");
    expect((await list(session, `?path=${path}`)).data.map(({ name }) => name)).toEqual([
      ".git",
      "README.md",
      "src",
    ]);
  },
);

test("a clone replaces nothing, and what fails has a reason and leaves nothing", async () => {
  const session = await newSession();
  await putAll(session, { "a/x": "x" });
  for (const path of ["a", "a/x"]) {
    expect(await clone(session, { path })).toMatchObject({
      ok: false,
      error: { code: "already_exists" },
    });
  }
  expect(await clone(session, { path: "../x" })).toMatchObject({
    ok: false,
    error: { code: "outside" },
  });
  expect(await clone(session, { path: "b", ref: "none" })).toMatchObject({
    ok: false,
    error: { code: "clone_failed", field: expect.any(String) },
  });
  expect(await paths(session)).toEqual(["a", "a/x"]);
});

test("a clone that fails takes nothing with it that others have put beside it", async () => {
  const session = await newSession();
  const write =
    (request: GuardedRequester, state: DurableObjectState): GuardedRequester =>
    async (address, options) => {
      new Workspace(state.storage).write("/tmp/other", "other");
      return request(address, options);
    };
  const answer = await clone(session, { path: "b", ref: "none" }, write);
  expect(answer).toMatchObject({ ok: false, error: { code: "clone_failed" } });
  const left = await runInDurableObject(await objectOf(session), (_, state) =>
    new Workspace(state.storage).list("/tmp").map(({ name }) => name),
  );
  expect(left).toEqual(["other"]);
});

test("a clone that meets a limit while it checks out says which", async () => {
  const session = await newSession();
  const names = [240, 240, 240, 240, 20].map((length) => "n".repeat(length));
  await serveRepository({ [names.join("/")]: "x", "README.md": "# new\n" });
  const body = { url: URL_OF, path: "repo" };
  const answer = await post(`${session}/files/git`, body);
  expect(await refused(answer)).toEqual([422, "path_too_long"]);
  expect(await paths(session)).toEqual([]);
});

test("a clone whose object ends leaves nothing in the workspace, and the next one clears up", async () => {
  const session = await newSession();
  let asked = 0;
  const crash =
    (request: GuardedRequester, state: DurableObjectState): GuardedRequester =>
    async (address, options) => {
      asked += 1;
      if (asked === 2) {
        new Workspace(state.storage).write("/tmp/clone-1/half", "half");
        await state.storage.sync();
        state.abort("crash");
      }
      return request(address, options);
    };
  await clone(session, { path: "repo" }, crash).catch(() => {});
  expect(asked).toBe(2);
  expect(await paths(session)).toEqual([]);
  expect(await clone(session, { path: "repo", id: "2" })).toMatchObject({ ok: true });
  const left = await runInDurableObject(await objectOf(session), (_, state) =>
    new Workspace(state.storage).list("/tmp").map(({ name }) => name),
  );
  expect(left).toEqual([]);
});

test.each([
  [{}, [422, "validation_error", "body -> url"]],
  [{ url: URL_OF, branch: "x" }, [422, "validation_error", "body -> branch"]],
  [{ url: URL_OF, path: "../x" }, [422, "outside_workspace", "body -> path"]],
  [{ url: URL_OF, path: "a" }, [409, "already_exists"]],
])("the request %j is refused", async (body, problem) => {
  const session = await newSession();
  await putAll(session, { "a/x": "" });
  expect(await refused(await post(`${session}/files/git`, body))).toEqual(problem);
});

test.each([
  "http://127.0.0.1:1/x.git",
  "https://169.254.169.254/x.git",
  "file:///etc",
  "git@host:x.git",
])("the address %s is refused", async (url) => {
  const session = await newSession();
  const [status] = await refused(await post(`${session}/files/git`, { url }));
  expect(status).toBe(422);
  expect(await paths(session)).toEqual([]);
});
