import type { Tool } from "@anthropic-ai/sdk/resources/messages";
import { describe, expect, it } from "vitest";
import { createStandin } from "../../src/standin/standin.ts";
import { Chat } from "./friendly-chat.ts";
import { clientOf, MODEL, testClock } from "./support.ts";

const READ: Tool = {
  name: "Read",
  description: "Reads a file",
  input_schema: {
    type: "object",
    properties: { file_path: { type: "string" }, limit: { type: "number" } },
    required: ["file_path"],
  },
};
const WRITE: Tool = {
  name: "Write",
  input_schema: {
    type: "object",
    properties: { file_path: { type: "string" }, content: { type: "string" } },
    required: ["file_path", "content"],
  },
};
const WEATHER: Tool = {
  name: "get_weather",
  input_schema: {
    type: "object",
    properties: {
      city: { type: "string" },
      unit: { type: "string", enum: ["celsius", "fahrenheit"] },
    },
    required: ["city"],
  },
};
const TOOLS = [READ, WRITE, WEATHER];

const friendly = () => createStandin({ friendly: true });

describe("the friendly model", () => {
  it("says what it is in its first answer, and only there", async () => {
    const chat = new Chat(friendly());
    const first = await chat.say("hello there");
    expect(first.text).toMatch(/stand-in, not Claude/);
    expect(first.text).toContain("ANTHROPIC_API_KEY");
    expect(first.text).toContain(".dev.vars");
    expect(first.text).toContain("hello there");
    expect((await chat.say("and now?")).text).toBe("You said: “and now?”");
  });

  it("remembers what was said", async () => {
    const chat = new Chat(friendly());
    await chat.say("My name is Ada Lovelace. My favourite colour is green.");
    await chat.say("something else");
    expect((await chat.say("What is my name?")).text).toBe("Your name is Ada Lovelace.");
    expect((await chat.say("what's my favourite colour?")).text).toBe(
      "Your favourite colour is green.",
    );
    expect((await chat.say("what is my age?")).text).toBe("You have not told me your age.");
    expect((await chat.say("what did I say first?")).text).toContain("My name is Ada Lovelace");
    expect((await chat.say("what did I just say?")).text).toContain("what did I say first?");
    expect((await chat.say("how many messages?")).text).toMatch(/^You have sent 8 messages/);
  });

  it("counts", async () => {
    const chat = new Chat(friendly());
    await chat.say("hi");
    expect((await chat.say("please count to 12")).text).toBe("1 2 3 4 5 6 7 8 9 10 11 12");
    expect((await chat.say("count to 99999")).text).toMatch(/ 1999 2000$/);
  });

  it("stops counting at max_tokens", async () => {
    const chat = new Chat(friendly(), { max_tokens: 100, model: "claude-haiku-4-5" });
    const { message } = await chat.say("count to 2000");
    expect(message.stop_reason).toBe("max_tokens");
    expect(message.usage.output_tokens).toBe(100);
  });

  it("thinks where the model does, and longer about a topic", async () => {
    const shown = { thinking: { type: "adaptive", display: "summarized" } };
    const thought = async (content: string, more: object) => {
      const { message } = await new Chat(friendly(), more).say(content);
      const block = message.content.find(({ type }) => type === "thinking");
      return block?.type === "thinking" ? block.thinking : undefined;
    };
    const short = await thought("hello", shown);
    const long = await thought("think about the sea", shown);
    expect(short?.length).toBeGreaterThan(20);
    expect(long?.length).toBeGreaterThan(3 * (short?.length ?? 0));
    expect(long).toContain("the sea");
    expect(await thought("hello", { model: "claude-haiku-4-5" })).toBeUndefined();
  });

  it("describes what is attached", async () => {
    const chat = new Chat(friendly());
    const { text } = await chat.say([
      { type: "text", text: "look" },
      { type: "document", source: { type: "text", media_type: "text/plain", data: "x" } },
    ]);
    expect(text).toContain("You attached: document, text/plain.");
  });

  it("fills a schema for structured output", async () => {
    const schema = {
      type: "object",
      additionalProperties: false,
      properties: { ok: { type: "boolean" }, list: { type: "array", items: { type: "integer" } } },
      required: ["ok", "list"],
    };
    const chat = new Chat(friendly(), {
      output_config: { format: { type: "json_schema", schema } },
    });
    expect(JSON.parse((await chat.say("go")).text)).toEqual({ ok: true, list: [1] });
  });

  it("streams word by word at its pace", async () => {
    const clock = testClock();
    const standin = createStandin({ friendly: true, pace: 40, clock });
    const stream = await clientOf(standin).messages.create({
      model: "claude-haiku-4-5",
      max_tokens: 1_000,
      stream: true,
      messages: [
        { role: "user", content: "hi" },
        { role: "assistant", content: "hi" },
        { role: "user", content: "count to 3" },
      ],
    });
    const start = clock.now();
    const deltas: [string, number][] = [];
    const reading = (async () => {
      for await (const event of stream) {
        if (event.type === "content_block_delta" && event.delta.type === "text_delta") {
          deltas.push([event.delta.text, clock.now() - start]);
        }
      }
    })();
    for (let i = 1; i <= 3; i++) {
      await clock.armed();
      clock.advance(40);
    }
    await reading;
    expect(deltas).toEqual([
      ["1", 40],
      [" 2", 80],
      [" 3", 120],
    ]);
  });

  it("summarises for a compaction", async () => {
    const message = await clientOf(friendly()).beta.messages.create({
      model: MODEL,
      max_tokens: 1_000,
      messages: [{ role: "user", content: "remember the milk" }],
      compaction: { type: "summarize" },
      betas: ["compact-2026-09-04"],
    });
    expect(message.stop_reason).toBe("compaction");
    expect(JSON.stringify(message.content)).toContain("remember the milk");
  });
});

describe("the friendly model with tools", () => {
  const chatWith = (more: object = {}) => new Chat(friendly(), { tools: TOOLS, ...more });

  it.each<[string, { name: string; input: object }[]]>([
    [
      'use the tool get_weather with {"city": "Oslo", "unit": "celsius"}',
      [{ name: "get_weather", input: { city: "Oslo", unit: "celsius" } }],
    ],
    ["call get_weather", [{ name: "get_weather", input: { city: "call get_weather" } }]],
    [
      "What does get_weather say for fahrenheit in New York?",
      [{ name: "get_weather", input: { city: "New York", unit: "fahrenheit" } }],
    ],
    ["read notes/todo.md", [{ name: "Read", input: { file_path: "notes/todo.md" } }]],
    [
      'Please write "hello world" to hello.txt',
      [{ name: "Write", input: { file_path: "hello.txt", content: "hello world" } }],
    ],
    [
      'Use Read with {"file_path":"a.txt"} and get_weather with {"city":"Rome"}',
      [
        { name: "Read", input: { file_path: "a.txt" } },
        { name: "get_weather", input: { city: "Rome" } },
      ],
    ],
    ["I like to read books and to write letters.", []],
    ["hello", []],
  ])("%s", async (message, calls) => {
    const answer = await chatWith().say(message);
    expect(answer.calls.map(({ name, input }) => ({ name, input }))).toEqual(calls);
    expect(answer.message.stop_reason).toBe(calls.length > 0 ? "tool_use" : "end_turn");
  });

  it("summarises the results", async () => {
    const chat = chatWith();
    const { calls } = await chat.say("Use Read on a.txt and get_weather in Rome");
    const [read, weather] = calls;
    const { text, message } = await chat.say([
      { type: "tool_result", tool_use_id: read?.id ?? "", content: "file text" },
      {
        type: "tool_result",
        tool_use_id: weather?.id ?? "",
        content: [{ type: "text", text: "no such city" }],
        is_error: true,
      },
    ]);
    expect(text).toBe("Read returned:\nfile text\n\nget_weather failed:\nno such city");
    expect(message.stop_reason).toBe("end_turn");
  });

  it("obeys tool_choice", async () => {
    const calls = async (tool_choice: object, message = "use Read and Write on a.txt") =>
      (await chatWith({ tool_choice, model: "claude-opus-5" }).say(message)).calls.map(
        ({ name }) => name,
      );
    expect(await calls({ type: "auto" })).toEqual(["Read", "Write"]);
    expect(await calls({ type: "none" })).toEqual([]);
    expect(await calls({ type: "auto", disable_parallel_tool_use: true })).toEqual(["Read"]);
    expect(await calls({ type: "any" }, "hello")).toEqual(["Read"]);
    expect(await calls({ type: "tool", name: "get_weather" }, "hello")).toEqual(["get_weather"]);
  });

  it("searches the web through the server tool", async () => {
    const tools = [{ type: "web_search_20260318", name: "web_search" }];
    const chat = new Chat(friendly(), { tools });
    const { message, text } = await chat.say("search the web for red pandas");
    expect(message.content.map(({ type }) => type)).toEqual([
      "thinking",
      "text",
      "server_tool_use",
      "web_search_tool_result",
      "text",
    ]);
    expect(message.stop_reason).toBe("end_turn");
    expect(text).toContain("It is made up");
    expect((await chat.say("thanks")).text).toBe("You said: “thanks”");
  });
});
