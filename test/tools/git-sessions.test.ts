/** The git library is one for all sessions of an isolate. */
// Here, and not on first use: the test setup loads a module for the object that asks first.
import "isomorphic-git";
import "just-bash";
import { expect, test } from "vitest";
import { ToolBench, textOf } from "./context.ts";
import { gitServer, servedRepository } from "./git-server.ts";

const COMMAND =
  "git clone https://git.example/repo.git; ls repo/src | wc -l; cd repo; git status --short | wc -l";

test("sessions that clone at once do not wait for each other's objects", async () => {
  const files = Object.fromEntries(
    Array.from({ length: 40 }, (_, i) => [`src/f${i}.ts`, `${i}\n`]),
  );
  const commits = [{ message: "one\n", files }];
  const served = await new ToolBench().inside((workspace) => servedRepository(workspace, commits));
  const clone = async (): Promise<string> => {
    const { request } = gitServer(served);
    // Between two answers the others go on.
    const slow: typeof request = async (...asked) => {
      await scheduler.wait(0);
      return request(...asked);
    };
    return textOf(await new ToolBench().call("Bash", { command: COMMAND }, { request: slow }));
  };
  const said = await Promise.all([clone(), clone(), clone()]);
  for (const text of said) expect(text).toMatch(/^40\n0\nCloning into 'repo'\.\.\.\n/);
});
