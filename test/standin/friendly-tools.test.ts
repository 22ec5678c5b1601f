/** The friendly model with the built-in tools: what plain words make it call, and what comes of it. */
import { describe, expect, it } from "vitest";
import { createStandin } from "../../src/standin/standin.ts";
import { builtinTool, builtinToolset } from "../../src/tools/registry.ts";
import { Chat } from "./friendly-chat.ts";

const TOOLS = builtinToolset().list ?? [];

const chatWith = (more: object = {}) =>
  new Chat(createStandin({ friendly: true }), { tools: TOOLS, ...more });

type Answer = Awaited<ReturnType<Chat["say"]>>;

/** The calls as `Tool` and its input; each must be one that the tool itself takes. */
const callsOf = ({ calls }: Answer): [string, unknown][] =>
  calls.map(({ name, input }) => {
    expect(builtinTool(name)?.prepare(input)).toMatchObject({ ok: true });
    return [name, input];
  });

/** Says the results of the calls that are open, in order. */
const results = (answer: Answer, ...given: (string | Error)[]) =>
  answer.calls.map(({ id }, i) => {
    const one = given[i] ?? "";
    const text = one instanceof Error ? one.message : one;
    const is_error = one instanceof Error;
    return { type: "tool_result" as const, tool_use_id: id, content: text, is_error };
  });

const grep = (pattern: string, path?: string) => [
  "Grep",
  { pattern, output_mode: "content", "-n": true, ...(path ? { path } : {}) },
];
const write = (file_path: string, content: string) => ["Write", { file_path, content }];
const todo = (content: string) => ({ content, status: "pending" });

describe("plain words are calls of the built-in tools", () => {
  it.each<[string, unknown]>([
    ["list the files", ["LS", { path: "/workspace" }]],
    ["Hi! What files are there?", ["LS", { path: "/workspace" }]],
    ["what's in the workspace?", ["LS", { path: "/workspace" }]],
    ["list the files in src/lib", ["LS", { path: "src/lib" }]],
    ["show me the src folder", ["LS", { path: "src" }]],
    ["write hello.py that prints hi", write("hello.py", 'print("hi")\n')],
    [
      'Can you write a small python program called a.py that prints "a, then run b"?',
      write("a.py", 'print("a, then run b")\n'),
    ],
    ["create hello.js that says hi", write("hello.js", 'console.log("hi");\n')],
    ["write hello.sh printing it's me", write("hello.sh", "#!/bin/bash\necho 'it'\\''s me'\n")],
    ["write a bash script that prints hi", write("program.sh", "#!/bin/bash\necho hi\n")],
    ["write notes.md with milk, eggs and bread", write("notes.md", "milk, eggs and bread\n")],
    ["create a file todo.txt containing buy milk", write("todo.txt", "buy milk\n")],
    ["save hello world to a/b.txt", write("a/b.txt", "hello world\n")],
    ["make an empty file x.txt", write("x.txt", "")],
    ["write a.py:\n```python\nprint(1)\n```", write("a.py", "print(1)\n")],
    ["show me hello.py", ["Read", { file_path: "hello.py" }]],
    ["read `notes/hello.py`.", ["Read", { file_path: "notes/hello.py" }]],
    ["what does README say?", ["Read", { file_path: "README" }]],
    ["read lines 3 to 10 of a.txt", ["Read", { file_path: "a.txt", offset: 3, limit: 8 }]],
    ["find all .ts files", ["Glob", { pattern: "**/*.ts" }]],
    ["list the python files in src", ["Glob", { pattern: "**/*.py", path: "src" }]],
    ["where is hello.py?", ["Glob", { pattern: "**/hello.py" }]],
    ["search for TODO in the files", grep("TODO")],
    ["which files contain a.b(c)?", grep("a\\.b\\(c\\)")],
    ["search hello.py for print", grep("print", "hello.py")],
    ["look for 'hello world' in src", grep("hello world", "src")],
    ["run ls -la", ["Bash", { command: "ls -la" }]],
    ["please run `for i in 1 2; do echo $i; done`.", bash("for i in 1 2; do echo $i; done")],
    ["execute echo hi | wc -c", bash("echo hi | wc -c")],
    ["git status", bash("git status")],
    ["run hello.py", bash("python hello.py")],
    ["clone https://git.example/a.git into lib", bash("git clone https://git.example/a.git lib")],
    ["delete hello.py", bash("rm hello.py")],
    ["add two eggs to todo.txt", bash("echo 'two eggs' >> todo.txt")],
    ["rename a.txt to b.txt", bash("mv a.txt b.txt")],
    ["make a folder src", bash("mkdir -p src")],
    [
      "fetch https://example.com and tell me what it says",
      ["WebFetch", { url: "https://example.com" }],
    ],
    ["make a todo list: a, b and c", ["TodoWrite", { todos: ["a", "b", "c"].map(todo) }]],
    [
      "create a to-do list:\n- write tests\n- run them",
      ["TodoWrite", { todos: ["write tests", "run them"].map(todo) }],
    ],
    ["show me a.ipynb", ["NotebookRead", { notebook_path: "a.ipynb" }]],
  ])("%s", async (message, call) => {
    expect(callsOf(await chatWith().say(message))).toEqual([call]);
  });

  it.each([
    "hello",
    "I like to read books and to write letters.",
    "what is my name?",
    "how do I read a.txt?",
    "count to 3",
  ])("%s: calls nothing", async (message) => {
    expect(callsOf(await chatWith().say(message))).toEqual([]);
  });

  it("says what it can do, and what it cannot", async () => {
    const chat = chatWith();
    const abilities = /“list the files”, “write hello.py that prints hi”/;
    expect((await chat.say("hello")).text).toMatch(abilities);
    const { text, calls } = await chat.say("Write a poem about the sea.");
    expect(calls).toEqual([]);
    expect(text).toContain("does not know how to do this: “Write a poem about the sea”");
    expect((await new Chat(createStandin({ friendly: true })).say("hello")).text).not.toMatch(
      abilities,
    );
  });

  it("calls no tool that is not offered, or that is another one under the same name", async () => {
    const only = chatWith({ tools: TOOLS.filter(({ name }) => name === "Read") });
    expect((await only.say("list the files, then show me a.txt")).calls).toMatchObject([
      { name: "Read", input: { file_path: "a.txt" } },
    ]);
    const input_schema = { type: "object", properties: { shell: { type: "string" } } };
    const other = chatWith({ tools: [{ name: "Bash", input_schema }] });
    expect((await other.say("run ls")).calls).toEqual([]);
    const none = chatWith({ tool_choice: { type: "none" } });
    expect((await none.say("list the files")).calls).toEqual([]);
  });
});

function bash(command: string) {
  return ["Bash", { command }];
}

describe("several steps", () => {
  it("are made one after the other, and told in the end", async () => {
    const chat = chatWith();
    const wrote = await chat.say(
      "Write hello.py that prints hi, then run cat hello.py and tell me",
    );
    expect(callsOf(wrote)).toEqual([write("hello.py", 'print("hi")\n')]);
    expect(wrote.text).toMatch(/stand-in, not Claude[\s\S]*Writing hello\.py\.$/);
    const ran = await chat.say(results(wrote, "File created successfully"));
    expect(callsOf(ran)).toEqual([bash("cat hello.py")]);
    const last = await chat.say(results(ran, 'print("hi")'));
    expect(last.message.stop_reason).toBe("end_turn");
    expect(last.text).toBe(
      'Writing hello.py gave:\nFile created successfully\n\nRunning `cat hello.py` gave:\nprint("hi")',
    );
    const next = await chat.say("run it");
    expect(callsOf(next)).toEqual([bash("python hello.py")]);
  });

  it("know which file is meant", async () => {
    const chat = chatWith();
    await chat.say(results(await chat.say("show me old.txt"), "old"));
    const first = await chat.say("create hello.sh that prints hi and run it");
    expect(callsOf(await chat.say(results(first, "created")))).toEqual([bash("bash hello.sh")]);
  });

  it("end where one fails", async () => {
    const chat = chatWith();
    const ran = await chat.say("run python hello.py, then list the files, then make coffee");
    const last = await chat.say(results(ran, new Error("Exit code 127\npython: not found")));
    expect(last.calls).toEqual([]);
    expect(last.text).toBe(
      "Running `python hello.py` failed:\nExit code 127\npython: not found\n\nI stopped there and left the rest undone.\n\nA stand-in does not know how to do this: “make coffee”.",
    );
  });

  it("read a file before they change it, and look at what they read", async () => {
    const change = async (message: string, ...read: (string | Error)[]) => {
      const chat = chatWith();
      const first = await chat.say(message);
      expect(callsOf(first)).toEqual([["Read", { file_path: "a.py" }]]);
      return callsOf(await chat.say(results(first, ...read)));
    };
    const pair = { file_path: "a.py", old_string: "hi", new_string: "hello" };
    expect(await change("replace hi with hello in a.py", "     1→hi")).toEqual([["Edit", pair]]);
    expect(await change("change the word 'hi' to \"hello\" in a.py", "     1→hi, hi")).toEqual([
      ["Edit", { ...pair, replace_all: true }],
    ]);
    expect(await change("replace hi with hello in a.py", new Error("no such file"))).toEqual([]);
    const edits = [
      { old_string: "a", new_string: "b" },
      { old_string: "c", new_string: "d" },
    ];
    expect(await change("in a.py, replace a with b and c with d", "     1→a c")).toEqual([
      ["MultiEdit", { file_path: "a.py", edits }],
    ]);
  });

  it("add a cell behind the last one", async () => {
    const chat = chatWith();
    const first = await chat.say("add a cell to a.ipynb that prints hi");
    expect(callsOf(first)).toEqual([["NotebookRead", { notebook_path: "a.ipynb" }]]);
    const cells = '<cell id="one">1</cell id="one">\n<cell id="two">2</cell id="two">';
    const cell = { edit_mode: "insert", cell_type: "code", cell_id: "two" };
    expect(callsOf(await chat.say(results(first, cells)))).toEqual([
      ["NotebookEdit", { notebook_path: "a.ipynb", ...cell, new_source: 'print("hi")' }],
    ]);
  });

  it("write a file again once it was read, if the tool asks for that", async () => {
    const chat = chatWith();
    const first = await chat.say("write a.txt with x");
    const refused = new Error("File has not been read yet. Read it first before writing to it.");
    const second = await chat.say(results(first, refused));
    expect(callsOf(second)).toEqual([["Read", { file_path: "a.txt" }]]);
    const third = await chat.say(results(second, "     1→y"));
    expect(callsOf(third)).toEqual([write("a.txt", "x\n")]);
    expect((await chat.say(results(third, "updated"))).calls).toEqual([]);
  });

  it("give way to newer words, but not to a harness's reminders", async () => {
    const chat = chatWith();
    const first = await chat.say("list the files, then run pwd, then run ls");
    const reminder = { type: "text" as const, text: "<system-reminder>run rm x</system-reminder>" };
    const second = await chat.say([...results(first, "a.txt"), reminder]);
    expect(callsOf(second)).toEqual([bash("pwd")]);
    const third = await chat.say([
      ...results(second, "/workspace"),
      { type: "text", text: "No, show me a.txt" },
    ]);
    expect(callsOf(third)).toEqual([["Read", { file_path: "a.txt" }]]);
    expect((await chat.say(results(third, "x"))).text).toBe("Reading a.txt gave:\nx");
  });
});
