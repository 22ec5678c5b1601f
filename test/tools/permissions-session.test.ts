// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are expansions of the shell.
/** Permissions where the session runs the tools: they hold when a tool runs, and for what it finds. */
import { expect, test } from "vitest";
import type { Permissions } from "../../src/shared/tools.ts";
import { text, toolUse } from "../../src/standin/replies.ts";
import { builtinToolset } from "../../src/tools/registry.ts";
import { Workspace } from "../../src/workspace/workspace.ts";
import { useSessions } from "../support/sessions.ts";

const sessions = useSessions();

const RULES: Permissions = { mode: "default", allow: [], ask: [], deny: [] };

const results = (i: number) =>
  sessions.asked(i).map(({ content }) => (content as { text: string }[])[0]?.text);

test("a call that was allowed for one folder does not write into another", async () => {
  const permissions = { ...RULES, allow: ["Write(a/**)", "Bash(mkdir *)"] };
  const session = await sessions.create({ tools: builtinToolset(), permissions });
  sessions.script(
    [toolUse("Bash", { command: "mkdir -p a b && cd a" })],
    [
      toolUse("Write", { file_path: "one", content: "1" }),
      toolUse("Bash", { command: "cd ../b" }),
      toolUse("Write", { file_path: "two", content: "2" }),
    ],
    text("done"),
  );
  expect(await session.turn("go")).toMatchObject({ outcome: "completed" });
  const [one, , two] = results(2);
  expect(one).toBe("File created successfully at: /workspace/a/one");
  expect(two).toBe(
    "Not run: the current folder or the permissions have changed since. Call it again.",
  );
  await session.inside((state) => {
    const paths = [...new Workspace(state.storage).walk("/workspace")].map(({ path }) => path);
    expect(paths).toEqual(["/workspace/a", "/workspace/a/one", "/workspace/b"]);
  });
});

test("a search does not find what a denial hides", async () => {
  const permissions = { ...RULES, deny: ["Read(.env)"] };
  const session = await sessions.create({ tools: builtinToolset(), permissions });
  await session.inside((state) => {
    const workspace = new Workspace(state.storage);
    workspace.write("/workspace/.env", "KEY=1\n");
    workspace.write("/workspace/a", "KEY=2\n");
  });
  sessions.script(
    [
      toolUse("Grep", { pattern: "KEY", output_mode: "content" }),
      toolUse("Glob", { pattern: "*" }),
      toolUse("Bash", { command: "cat .env" }),
    ],
    text("done"),
  );
  expect(await session.turn("go")).toMatchObject({ outcome: "completed" });
  expect(results(1)).toEqual([
    "/workspace/a:1:KEY=2",
    "/workspace/a",
    "Permission to use Bash was denied by Read(.env).",
  ]);
});

// Each names a denied file in a way that no reading of the script foresees.
test.each([
  "cat .en?",
  "cat *.pem ./.e*",
  "ls -A | xargs cat",
  "f=.env; cat $f",
  'cat "$(printf .en%s v)"',
  "eval c''at .e''nv; cat .{env,x}",
  "cp -r . /tmp/copy; cat /tmp/copy/.env",
  "cp -r ../workspace/cfg new; cat new/.env",
  "mv cfg other; cat other/.e*",
  "ln -s . here; cat here/.e*",
  "for f in .*; do [ -f $f ] && head -1 $f; done",
  "grep -r KEY",
  "rg --hidden KEY",
  "find . -type f -exec cat {} +",
  "awk '{print}' .e[n]v; sed '' .e[n]v; while read l; do echo $l; done < .e[n]v",
  "tar cf t.tar .; tar xOf t.tar",
  "git init -q .; git add -A; git commit -qm x; git show HEAD:.e''nv",
  "printf 'cat .e%s' nv > s.sh; bash s.sh; source ./s.sh",
  "x=$(< .e*); echo $x; mapfile a < .e[n]v; echo ${a[@]}",
  "cd cfg; cat ./.e*; cd ..; diff .e[n]v /dev/null; base64 .e[n]v | base64 -d",
])("a denied file is not read by %s", async (command) => {
  const permissions = { ...RULES, mode: "bypassPermissions" as const, deny: ["Read(.env)"] };
  const session = await sessions.create({ tools: builtinToolset(), permissions });
  await session.inside((state) => {
    const workspace = new Workspace(state.storage);
    for (const path of [".env", "cfg/.env"]) workspace.write(`/workspace/${path}`, "KEY=1\n");
    workspace.write("/workspace/a", "open\n");
  });
  sessions.script(
    [toolUse("Bash", { command }), toolUse("Bash", { command: "cat a" })],
    text("done"),
  );
  expect(await session.turn("go")).toMatchObject({ outcome: "completed" });
  const [said, other] = results(1);
  expect(said).not.toContain("KEY=1");
  expect(other).toBe("open");
});

test("a denied file is not changed by a shell either, and no link leads a tool to it", async () => {
  const permissions = {
    ...RULES,
    mode: "bypassPermissions" as const,
    deny: ["Write(src/**)", "Read(keys/**)", "Edit(keys/**)"],
  };
  const session = await sessions.create({ tools: builtinToolset(), permissions });
  await session.inside((state) => {
    const workspace = new Workspace(state.storage);
    workspace.write("/workspace/src/a", "old\n");
    workspace.write("/workspace/keys/k", "KEY=1\n");
    workspace.link("keys", "/workspace/way");
  });
  const scripts = [
    "echo new > sr?/a; echo new >> s*/a; echo new | tee s*/a; sed -i s/old/new/ s*/a",
    "rm -r s*; mv s* b; mv s*/a b; mkdir $(echo src)/d; touch $(echo src)/n; chmod 700 s*/a",
    "cd s* && echo new > a; printf 'new' > /tmp/a; cp /tmp/a . ; tar cf /tmp/t -C /tmp a; tar xf /tmp/t",
    "git init -q; git config user.name a; ln -s s* l; echo new > l/a",
  ];
  sessions.script(
    [
      ...scripts.map((command) => toolUse("Bash", { command })),
      toolUse("Bash", { command: "cd /workspace" }),
      toolUse("Read", { file_path: "way/k" }),
      toolUse("Grep", { pattern: "KEY", path: "way/k", output_mode: "content" }),
      toolUse("Write", { file_path: "way/new", content: "x" }),
      toolUse("Edit", { file_path: "way/new", old_string: "", new_string: "x" }),
      toolUse("NotebookRead", { notebook_path: "way/k" }),
    ],
    text("done"),
  );
  expect(await session.turn("go")).toMatchObject({ outcome: "completed" });
  const said = results(1);
  expect(said.join("\n")).not.toContain("KEY=1");
  expect(said[5]).toBe("way/k is a link to a file that a rule denies.");
  expect(said[8]).toBe("way/new is a link to a file that a rule denies.");
  await session.inside((state) => {
    const workspace = new Workspace(state.storage);
    const below = [...workspace.walk("/workspace/src"), ...workspace.walk("/workspace/keys")];
    expect(below.map(({ path }) => path)).toEqual(["/workspace/src/a", "/workspace/keys/k"]);
    expect(new TextDecoder().decode(workspace.read("/workspace/src/a"))).toBe("old\n");
  });
});

test("a denied host is not asked by curl or git either", async () => {
  const permissions = {
    ...RULES,
    mode: "bypassPermissions" as const,
    deny: ["WebFetch(domain:*.example.com)"],
  };
  const session = await sessions.create({ tools: builtinToolset(), permissions });
  sessions.script(
    [
      toolUse("Bash", { command: "h=www.example; curl -s https://$h.com./x" }),
      toolUse("Bash", { command: "git clone https://git.EXAMPLE.com/a/b" }),
      toolUse("WebFetch", { url: "https://www.example.com/" }),
    ],
    text("done"),
  );
  expect(await session.turn("go")).toMatchObject({ outcome: "completed" });
  const [curl, git, fetch] = results(1);
  expect(curl).toContain("A rule denies this host");
  expect(git).toContain("A rule denies this host");
  expect(fetch).toContain("was denied by WebFetch(domain:*.example.com)");
});
