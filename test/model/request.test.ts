import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DEFAULT_MODEL, MODELS } from "../../src/model/catalogue.ts";
import {
  buildRequest,
  markable,
  type RequestBlock,
  type RequestInput,
  type RequestMessage,
} from "../../src/model/request.ts";

const say = (text: string) => ({ type: "text", text });
const user = (...content: RequestBlock[]): RequestMessage => ({ role: "user", content });
const assistant = (...content: RequestBlock[]): RequestMessage => ({ role: "assistant", content });
const TOOL = { name: "Read", description: "Reads.", input_schema: { type: "object" } };
const OTHER = { name: "Write", input_schema: { type: "object" } };
const MARK = { type: "ephemeral" };

const build = (input: Partial<RequestInput> = {}) =>
  buildRequest({
    model: DEFAULT_MODEL,
    system: null,
    tools: [],
    toolChoice: { type: "auto" },
    parallelToolCalls: true,
    messages: [user(say("hi"))],
    maxTokens: 1_000,
    marks: [],
    ttl: "5m",
    ...input,
  });

/** Ordinals of the blocks that carry a mark, over all messages. */
function marksOf(request: ReturnType<typeof build>): number[] {
  const blocks = request.params.messages.flatMap(({ content }) =>
    typeof content === "string" ? [] : content,
  );
  return blocks.flatMap((block, i) => (block && "cache_control" in block ? [i] : []));
}

describe("buildRequest", () => {
  it("sends what it was given, and nothing else", () => {
    expect(build({ system: "Be brief.", tools: [TOOL], marks: [0] })).toEqual({
      params: {
        model: "claude-sonnet-5-5",
        max_tokens: 1_000,
        system: [{ type: "text", text: "Be brief.", cache_control: MARK }],
        tools: [{ ...TOOL, cache_control: MARK }],
        thinking: { type: "adaptive", display: "summarized" },
        messages: [user({ ...say("hi"), ...{ cache_control: MARK } })],
        stream: true,
      },
      betas: [],
      notices: [],
    });
  });

  it("changes nothing that it was given", () => {
    const messages = [user(say("hi"))];
    const before = structuredClone(messages);
    build({ messages, tools: [TOOL], marks: [0] });
    expect(messages).toEqual(before);
  });

  it("leaves blocks as they came, fields that are not known included", () => {
    const odd = { type: "hologram", beam: { angle: 30 }, caller: null };
    const request = build({ messages: [user(say("hi")), assistant(odd), user(say("go"))] });
    expect(JSON.stringify(request.params.messages[1]?.content)).toBe(JSON.stringify([odd]));
  });

  it("keeps a longer conversation's request a continuation of the shorter one's", () => {
    const short = [user(say("a"))];
    const long = [...short, assistant(say("b")), user(say("c"))];
    const [one, two] = [build({ messages: short }), build({ messages: long })];
    expect(two.params.messages.slice(0, 1)).toEqual(one.params.messages);
    expect({ ...two.params, messages: [] }).toEqual({ ...one.params, messages: [] });
  });

  describe("thinking", () => {
    const thinking = (model: string, settings: RequestInput["settings"] = {}) =>
      build({ model, settings }).params.thinking;

    it("is shown as a summary wherever the model thinks by itself", () => {
      for (const { id, thinking: rule } of MODELS) {
        const thinks = rule.kind === "always" || (rule.kind === "adaptive" && rule.on);
        const expected = thinks ? { type: "adaptive", display: "summarized" } : undefined;
        expect(thinking(id), id).toEqual(expected);
      }
    });

    it("can be left out", () => {
      const omitted = { type: "adaptive", display: "omitted" } as const;
      expect(thinking("claude-opus-5-5", { thinking: omitted })).toEqual(omitted);
    });

    it("is not mentioned to a model that is not known", () => {
      expect(thinking("glm-4.6")).toBeUndefined();
    });
  });

  describe("tool_choice", () => {
    const choose = (
      model: string,
      toolChoice: RequestInput["toolChoice"],
      parallelToolCalls = true,
    ) => {
      const { params, notices } = build({ model, toolChoice, parallelToolCalls, tools: [TOOL] });
      return { choice: params.tool_choice, codes: notices.map(({ code }) => code) };
    };

    it("is left out when it is auto with parallel calls", () => {
      expect(choose("claude-opus-5", { type: "auto" })).toEqual({ choice: undefined, codes: [] });
    });

    it("carries the wish for single calls", () => {
      expect(choose("claude-opus-5", { type: "auto" }, false).choice).toEqual({
        type: "auto",
        disable_parallel_tool_use: true,
      });
      expect(choose("claude-opus-5", { type: "any" }, false).choice).toEqual({
        type: "any",
        disable_parallel_tool_use: true,
      });
    });

    it("keeps the tools and lets none be called on none", () => {
      const request = build({ toolChoice: { type: "none" }, tools: [TOOL] });
      expect(request.params.tool_choice).toEqual({ type: "none" });
      expect(request.params.tools).toHaveLength(1);
    });

    it("forces where the model takes it", () => {
      const named = { type: "tool", name: "Read" } as const;
      expect(choose("claude-opus-5", named)).toEqual({ choice: named, codes: [] });
      expect(choose("claude-haiku-4-5", { type: "any" }).choice).toEqual({ type: "any" });
    });

    it("is auto with a notice where the model refuses to be forced", () => {
      for (const toolChoice of [{ type: "any" }, { type: "tool", name: "Read" }] as const) {
        expect(choose("claude-sonnet-5-5", toolChoice)).toEqual({
          choice: undefined,
          codes: ["tool_choice_not_forced"],
        });
      }
      expect(choose("claude-opus-5-5", { type: "any" }, false).choice).toEqual({
        type: "auto",
        disable_parallel_tool_use: true,
      });
    });

    it("is left out without tools", () => {
      const { params, notices } = build({ toolChoice: { type: "none" }, parallelToolCalls: false });
      expect(params.tool_choice).toBeUndefined();
      expect(params.tools).toBeUndefined();
      expect(notices).toEqual([]);
    });
  });

  describe("cache breakpoints", () => {
    it("stand on the last tool and at the end of system", () => {
      const marked = [TOOL, { ...OTHER, cache_control: MARK }];
      const { params } = build({ system: "s", tools: [TOOL, OTHER] });
      expect(params.system).toEqual([{ type: "text", text: "s", cache_control: MARK }]);
      expect(params.tools).toEqual(marked);
      for (const system of [null, ""]) {
        const { params } = build({ system, tools: [TOOL, OTHER] });
        expect(params.system).toBeUndefined();
        expect(params.tools).toEqual(marked);
      }
    });

    it("leave two for the messages, the last ones", () => {
      const messages = [user(say("0"), say("1"), say("2"))];
      expect(marksOf(build({ messages, system: "s", tools: [TOOL], marks: [0, 1, 2] }))).toEqual([
        1, 2,
      ]);
    });

    it("count blocks over all messages", () => {
      const messages = [user(say("0"), say("1")), assistant(say("2")), user(say("3"))];
      expect(marksOf(build({ messages, marks: [1, 3] }))).toEqual([1, 3]);
    });

    it("move from a block that takes none to the nearest earlier one that does", () => {
      const messages = [
        user(say("0")),
        assistant({ type: "thinking" }, say(""), { type: "tool_use" }),
        user({ type: "tool_result" }, say("")),
      ];
      expect(marksOf(build({ messages, marks: [1] }))).toEqual([0]);
      expect(marksOf(build({ messages, marks: [2] }))).toEqual([0]);
      expect(marksOf(build({ messages, marks: [5] }))).toEqual([4]);
      expect(marksOf(build({ messages, marks: [0, 1, 2] }))).toEqual([0]);
      expect(marksOf(build({ messages, marks: [99] }))).toEqual([4]);
    });

    it("are dropped where no earlier block takes one", () => {
      expect(
        marksOf(build({ messages: [user(say("")), assistant(say("b"))], marks: [0] })),
      ).toEqual([]);
    });

    it("carry the hour when asked", () => {
      const { params } = build({ system: "s", ttl: "1h", marks: [0] });
      const hour = { type: "ephemeral", ttl: "1h" };
      expect(params.system).toEqual([{ type: "text", text: "s", cache_control: hour }]);
      expect(params.messages).toEqual([user({ ...say("hi"), ...{ cache_control: hour } })]);
    });

    it("are never more than four, and never on a block that takes none", () => {
      const block = fc.constantFrom<RequestBlock[]>(
        say("x"),
        say(""),
        { type: "thinking" },
        { type: "redacted_thinking" },
        { type: "tool_use" },
        { type: "tool_result" },
        { type: "hologram" },
      );
      const law = fc.property(
        fc.array(fc.array(block, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 6 }),
        fc.array(fc.nat(30), { maxLength: 8 }),
        fc.constantFrom(null, "s"),
        fc.constantFrom([], [TOOL]),
        (contents, marks, system, tools) => {
          const messages = contents.map((content) => user(...content));
          const request = build({ messages, marks, system, tools });
          const blocks = contents.flat();
          const placed = marksOf(request);
          const text = JSON.stringify(request.params);
          expect(text.split('"cache_control"').length - 1).toBeLessThanOrEqual(4);
          for (const at of placed) expect(markable(blocks[at] ?? say(""))).toBe(true);
          const last = Math.max(-1, ...marks);
          const expected = blocks.findLastIndex((b, i) => i <= last && markable(b));
          expect(placed.at(-1) ?? -1).toBe(expected);
        },
      );
      fc.assert(law);
    });
  });

  describe("beta headers", () => {
    const betas = (...blocks: RequestBlock[]) => build({ messages: [user(...blocks)] }).betas;

    it("are none for what is generally available", () => {
      expect(betas(say("hi"))).toEqual([]);
    });

    it("name tool changes, and definitions inside them", () => {
      const reference = { type: "tool_removal", tool: { type: "tool_reference", name: "Read" } };
      const inline = { type: "tool_addition", tool: { type: "tool_definition", definition: TOOL } };
      expect(betas(reference)).toEqual(["mid-conversation-tool-changes-2026-07-01"]);
      expect(betas(reference, inline)).toEqual([
        "mid-conversation-tool-changes-2026-07-01",
        "inline-tools-2026-09-15",
      ]);
    });

    it("name compaction", () => {
      expect(betas({ type: "compaction" })).toEqual(["compact-2026-09-04"]);
    });
  });
});
