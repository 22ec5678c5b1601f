/** A real git server: a session clones from it, works on what it got, and pushes. */
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { Client } from "../../scripts/client.ts";
import { text, toolUse } from "../../src/standin/replies.ts";
import { startStandinServer } from "../../src/standin/server.ts";
import { createStandin } from "../../src/standin/standin.ts";
import { git, gitHost, repository } from "./git-host.ts";
import { dataFolder, startedServer } from "./support.ts";

test("a turn clones, greps, edits, commits and pushes", async () => {
  const root = await repository();
  const host = await gitHost(root);
  const standin = createStandin();
  const upstream = await startStandinServer({ standin });
  onTestFinished(() => upstream.close());
  const { url } = await startedServer(await dataFolder(), {
    ANTHROPIC_API_KEY: "sk-test",
    ANTHROPIC_BASE_URL: upstream.url,
    FETCH_ALLOW_HOSTS: host,
    BUILTIN_TOOLS: "true",
    CC_API_PERMISSION_MODE: "bypassPermissions",
  });
  const bash = (command: string) => toolUse("Bash", { command });
  standin.script(
    bash(`git clone http://${host}/repo.git && cd repo && git log --oneline && git status`),
    bash("grep -rn TODO . | wc -l; sed -i 's/TODO/DONE/' notes.txt; git diff | tail -2"),
    bash(
      "git commit -qam 'from the session' && git push origin main && curl -s http://127.0.0.1:1/",
    ),
    text("done"),
  );
  const client = new Client(url);
  const { id } = await client.createSession();
  expect(await client.turn(id, { input: "go" })).toMatchObject({ output_text: "done" });
  const results = standin.requests
    .map(({ body }) => JSON.stringify(body))
    .flatMap((body) => [...body.matchAll(/"type":"tool_result".*?"text":"(.*?)"/g)].slice(-1))
    .map(([, said]) => JSON.parse(`"${said}"`));
  expect(results[0]).toContain("commit 2");
  expect(results[0]).not.toContain("commit 1");
  expect(results[0]).toContain("nothing to commit, working tree clean");
  expect(results[1]).toBe("1\n-TODO three\n+DONE three");
  expect(results[2]).toContain("main -> main");
  expect(results[2]).toContain("The URL's port must be 80 or 443");
  const bare = join(root, "repo.git");
  expect(git(bare, "log", "--format=%s %an", "-n", "2")).toBe(
    "from the session Ledge\ncommit 2 Ada\n",
  );
  expect(git(bare, "show", "main:notes.txt")).toBe("one\ntwo\nDONE three\n");
  expect(standin.unexpectedRefusals()).toEqual([]);
});
