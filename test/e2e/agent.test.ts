/** Turns that work with the built-in tools, in a server as users start it. */
import { expect, test } from "vitest";
import { Client } from "../../scripts/client.ts";
import { Reader } from "../../scripts/reader.ts";
import { createGate } from "../../src/standin/gate.ts";
import { holdAt, reply, text, toolUse } from "../../src/standin/replies.ts";
import { gitHost, repository } from "./git-host.ts";
import { dataFolder, freshReader, startedServer, World } from "./support.ts";

const bash = (command: string) => toolUse("Bash", { command });

/** A file of the session; null when there is none. */
async function fileOf(client: Client, id: string, path: string): Promise<string | null> {
  const response = await fetch(`${client.url}/api/sessions/${id}/files/${path}`);
  const body = await response.text();
  return response.status === 404 ? null : body;
}

/** The paths of all files of the session but git's own. */
async function filesOf({ url }: Client, id: string): Promise<string[]> {
  const response = await fetch(`${url}/api/sessions/${id}/files?recursive=true&limit=1000`);
  const { data } = (await response.json()) as { data: { path: string; type: string }[] };
  return data
    .filter(({ path, type }) => type === "file" && !path.includes(".git/"))
    .map(({ path }) => path);
}

interface Sent {
  messages: { content: string | { type: string; content?: { text: string }[] }[] }[];
}

/** The tool results that a model request brings, oldest first. */
function resultsIn(body: unknown): string[] {
  // The stand-in has checked its form.
  const { messages } = body as Sent;
  return messages
    .flatMap(({ content }) => (typeof content === "string" ? [] : content))
    .filter(({ type }) => type === "tool_result")
    .map(({ content }) => content?.[0]?.text ?? "");
}

test("a turn of several tools survives kills between two tools and in the middle of one", async () => {
  let held = 0;
  const running = createGate();
  const host = await gitHost(await repository(), (path) => {
    if (path !== "/held") return false;
    held += 1;
    // It is never answered, so that the script which asks for it runs until the server dies.
    void running.pass();
    return true;
  });
  const world = await World.create({ FETCH_ALLOW_HOSTS: host });
  const { standin, client } = world;
  const between = createGate();
  const look = toolUse("Grep", { pattern: "TODO", output_mode: "content", "-n": true });
  standin.script(
    bash(`git clone http://${host}/repo.git && cd repo`),
    reply({ blocks: [look], acts: [holdAt("request", between)] }),
    look,
    toolUse("Read", { file_path: "notes.txt" }),
    toolUse("Edit", { file_path: "notes.txt", old_string: "TODO", new_string: "DONE" }),
    bash(`echo begun; echo begun >> log.txt; curl -s http://${host}/held; echo ended >> log.txt`),
    bash(
      "cat notes.txt log.txt | grep -v one | sed 's/^/- /' | tee report.txt && git status --short",
    ),
    text("All is done."),
  );
  const { id } = await client.createSession();
  await client.detachedTurn(id, { input: "Finish what is to be done." });
  const reader = new Reader();
  const follow = (event: string) => reader.visit(client.events(id, reader.cursor), event);

  const first = follow("turn.completed");
  await between.waitUntilReached();
  await world.server.kill();
  expect(await first).toBeNull();
  await world.restart();
  const second = follow("turn.completed");
  await running.waitUntilReached();
  await world.server.kill();
  expect(await second).toBeNull();
  await world.restart();
  const end = await follow("turn.completed");

  expect(end?.data.data).toMatchObject({ outcome: "completed", output_text: "All is done." });
  expect(held).toBe(1);
  const results = resultsIn(standin.requests.at(-1)?.body);
  expect(results).toEqual([
    expect.stringContaining("Cloning into 'repo'"),
    "/workspace/repo/notes.txt:3:TODO three",
    "     1→one\n     2→two\n     3→TODO three",
    expect.stringContaining("The file /workspace/repo/notes.txt has been updated"),
    expect.stringContaining("whether it took effect is not known. It was not run again"),
    "- two\n- DONE three\n- begun\n M notes.txt\n?? log.txt\n?? report.txt",
  ]);
  expect(await fileOf(client, id, "repo/notes.txt")).toBe("one\ntwo\nDONE three\n");
  expect(await fileOf(client, id, "repo/log.txt")).toBe("begun\n");
  expect(await fileOf(client, id, "repo/report.txt")).toBe("- two\n- DONE three\n- begun\n");
  const cloned = ["file-0.md", "file-1.md", "file-2.md", "notes.txt"];
  const paths = [...cloned, "log.txt", "report.txt"].map((path) => `repo/${path}`);
  expect(await filesOf(client, id)).toEqual(paths.toSorted());

  const completed = reader.frames.filter(({ event }) => event === "tool.completed");
  expect(completed.map(({ data }) => data.data?.status)).toEqual([
    ...["ok", "ok", "ok", "ok", "unknown", "ok"],
  ]);
  const outputs = reader.frames.filter(({ event }) => event === "tool.output");
  expect(outputs.map(({ data }) => data.data?.text).join("")).toContain("begun\n");
  // Each frame of the log once and in order, over all three connections; live output is not in it.
  const fresh = await freshReader(client, id, "turn.completed");
  const isKept = (row: string) => !row.endsWith("tool.output");
  expect(reader.rows.filter(isKept)).toEqual(fresh.rows);
  expect(new Set(fresh.rows).size).toBe(fresh.rows.length);
  expect(reader.view).toEqual(fresh.view);
});

test("without a key, plain words make the stand-in use the tools", async () => {
  const host = await gitHost(await repository());
  const server = await startedServer(await dataFolder(), {
    FETCH_ALLOW_HOSTS: host,
    STANDIN_PACE_MS: "0",
  });
  const client = new Client(server.url);
  const { id } = await client.createSession();
  const say = async (input: string): Promise<string> =>
    (await client.turn(id, { input })).output_text;

  const first = await say("write hello.py that prints hi, then run cat hello.py and tell me");
  expect(first).toContain("I am a stand-in, not Claude");
  expect(first).toContain('Running `cat hello.py` gave:\nprint("hi")');
  expect(await fileOf(client, id, "hello.py")).toBe('print("hi")\n');

  expect(await say("run hello.py")).toContain("python: command not found");

  await say(
    "replace hi with hello in it, write notes.md with TODO milk and make a todo list: a, b",
  );
  expect(await fileOf(client, id, "hello.py")).toBe('print("hello")\n');
  expect(await fileOf(client, id, "notes.md")).toBe("TODO milk\n");

  const found = await say(
    "What files are there? Search for TODO in the files, then find all .py files.",
  );
  expect(found).toContain("- hello.py\n  - notes.md");
  expect(found).toContain("/workspace/notes.md:1:TODO milk");
  expect(found).toContain("gave:\n/workspace/hello.py");

  await say("create a notebook a.ipynb that prints 1, then add a cell to it that prints 2");
  const notebook = await say("show me a.ipynb");
  expect(notebook).toMatch(/print\("1"\)<[\s\S]*print\("2"\)</);

  const cloned = await say(
    `clone http://${host}/repo.git, then fetch http://${host}/repo.git/HEAD`,
  );
  expect(cloned).toContain("ref: refs/heads/main");
  expect(await filesOf(client, id)).toContain("repo/notes.txt");
});
