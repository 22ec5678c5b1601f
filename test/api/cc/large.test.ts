/** Bodies that are large, or small and large in memory: taken whole, or refused in clear words. */
import { describe, expect, test } from "vitest";
import type { JsonObject } from "../../../src/shared/content.ts";
import { text, toolUse } from "../../../src/standin/replies.ts";
import {
  allFrames,
  functionTool,
  get,
  modelCall,
  newSession,
  pngBytes,
  post,
  standin,
  withStandin,
} from "./server.ts";

withStandin();

/** Characters of every width and what JSON escapes; long enough for every way of long texts. */
const LONG = `${"word ".repeat(20)}ö € 😀 \u0000\n"\\ `.repeat(18_000);

const user = (call: number) => modelCall(call).messages.filter(({ role }) => role === "user");

/** Compares without a message, which would be as long. */
const same = (text: unknown, expected: string): void => expect(text === expected).toBe(true);

const textIn = (block: JsonObject | undefined): unknown => block?.text;

/** The source of a block that the model was sent. */
const sourceIn = (block: JsonObject | undefined): JsonObject => ({
  ...(block?.source as JsonObject | undefined),
});

interface Events {
  data: { data: JsonObject }[];
}

const started = async (session: string): Promise<JsonObject | undefined> => {
  const events = await get(`${session}/events?type=turn.started`);
  expect(events.headers.get("content-type")).toContain("application/json");
  return (await events.json<Events>()).data[0]?.data;
};

describe("a text of two million characters", () => {
  test("comes back in the stream and in the history, and goes to the model, as it was", async () => {
    expect(LONG.length).toBeGreaterThan(2_000_000);
    const session = await newSession();
    standin.script(text("Long."), text("Still there."));
    const stream = await allFrames(await post(`${session}/turns`, { input: LONG, stream: true }));
    const frame = stream.find(({ event }) => event === "turn.started");
    expect(frame?.data.data).toMatchObject({ input_id: "input_2" });
    same(Object(frame?.data.data).input, LONG);
    same(textIn(user(0)[0]?.content[0]), LONG);
    same((await started(session))?.input, LONG);
    expect((await post(`${session}/turns`, { input: "And now?" })).status).toBe(200);
    same(textIn(user(1)[0]?.content[0]), LONG);
  });

  test("is the same submission when it is sent again with its key, and no other", async () => {
    const session = await newSession();
    standin.script(text("Once."));
    const send = (input: string) =>
      post(`${session}/turns`, { input }, { "idempotency-key": "long" });
    expect((await send(LONG)).status).toBe(200);
    const again = await send(LONG);
    expect(again.headers.get("idempotency-replayed")).toBe("true");
    expect((await again.json<{ output_text: string }>()).output_text).toBe("Once.");
    expect((await send(`${LONG}.`)).status).toBe(409);
  });

  test("may be a document", async () => {
    const session = await newSession();
    standin.script(text("Read."));
    const source = { type: "text", media_type: "text/plain", data: LONG };
    const input = [{ type: "document", source, title: "All of it" }];
    expect((await post(`${session}/turns`, { input })).status).toBe(200);
    const sent = sourceIn(user(0)[0]?.content[0]);
    expect({ ...sent, data: "" }).toEqual({ ...source, data: "" });
    same(sent.data, LONG);
  });

  test("may be the results of tools, as text or as JSON", async () => {
    const session = await newSession();
    standin.script([toolUse("look", {}), toolUse("look", {})], text("Seen."));
    const turn = { input: "Look.", tools: [functionTool("look")] };
    expect((await post(`${session}/turns`, turn)).status).toBe(200);
    const half = LONG.slice(0, 1_100_000);
    const json = { found: [half.slice(0, 500_000), { text: half.slice(500_000) }] };
    const results = [
      { tool_call_id: "call_3_0", content: half },
      { tool_call_id: "call_3_1", content: json },
    ];
    expect((await post(`${session}/tool-results`, { results })).status).toBe(200);
    const [one, two] = user(1)[1]?.content.map(({ content }) => content as JsonObject[]) ?? [];
    same(textIn(one?.[0]), half);
    same(textIn(two?.[0]), JSON.stringify(json));
  });

  test("may be what the session says to the model", async () => {
    const metadata = { note: "n".repeat(10_000) };
    const tools = [functionTool("look")];
    const session = await newSession({ system_prompt: LONG, tools, metadata });
    const shown = await (await get(session)).json<JsonObject>();
    same(shown.system_prompt, LONG);
    expect(shown.metadata).toEqual(metadata);
    standin.script(text("Yes."));
    expect((await post(`${session}/turns`, { input: "Hi" })).status).toBe(200);
    same(modelCall(0).system?.[0]?.text, LONG);
    expect(modelCall(0).tools).toHaveLength(1);
  });
});

test.each([8_192, 8_193, 100_000, 1_000_001])(
  "a text of %i characters is one like any other",
  async (length) => {
    const session = await newSession();
    standin.script(text("Yes."));
    const input = "ö".repeat(length);
    expect((await post(`${session}/turns`, { input })).status).toBe(200);
    same(textIn(user(0)[0]?.content[0]), input);
    same((await started(session))?.input, input);
  },
);

test("a page of the history ends behind a megabyte of messages", async () => {
  const session = await newSession();
  standin.script(text("One."), text("Two."), text("Three."));
  const input = "long ".repeat(220_000);
  for (let n = 0; n < 3; n++) {
    expect((await post(`${session}/turns`, { input })).status).toBe(200);
  }
  const seen: string[] = [];
  let pages = 0;
  for (let after = 0, more = true; more; pages += 1) {
    const response = await get(`${session}/events?limit=1000&after=${after}`);
    const text = await response.text();
    expect(text.length).toBeLessThan(2 * input.length);
    const page = JSON.parse(text);
    seen.push(...page.data.map(({ type }: { type: string }) => type));
    [after, more] = [page.last_id, page.has_more];
  }
  expect(pages).toBeGreaterThanOrEqual(3);
  expect(seen.filter((type) => type === "turn.started")).toHaveLength(3);
  expect(seen.filter((type) => type === "turn.completed")).toHaveLength(3);
});

test("a document of many pieces is stored, served and sent as it was", async () => {
  const session = await newSession();
  standin.script(text("Read."));
  const bytes = new Uint8Array(2_000_001).map((_, i) => (i * 31 + (i >> 8)) % 251);
  bytes.set(new TextEncoder().encode("%PDF-1.7\n"));
  const data = bytes.toBase64();
  // White space is no part of base64, wherever it stands.
  const spaced = data.replace(/.{76}/g, "$&\r\n");
  const source = { type: "base64", media_type: "application/pdf", data: spaced };
  const sent = await post(`${session}/turns`, { input: [{ type: "document", source }] });
  expect(sent.status).toBe(200);
  same(sourceIn(user(0)[0]?.content[0]).data, data);
  const [block] = Object((await started(session))?.input);
  const served = new Uint8Array(await (await get(block.source.url)).arrayBuffer());
  same(served.toBase64(), data);
});

test("an image in a data URL is an image, however long", async () => {
  const session = await newSession();
  standin.script(text("Seen."));
  const data = pngBytes(300_000).toBase64();
  const block = { type: "image_url", image_url: { url: `data:image/png;base64,${data}` } };
  expect((await post(`${session}/turns`, { input: [block] })).status).toBe(200);
  same(sourceIn(user(0)[0]?.content[0]).data, data);
});

const many = (count: number, one: (i: number) => string): string =>
  Array.from({ length: count }, (_, i) => one(i)).join(",");

describe("a body that is larger in memory than in bytes is refused:", () => {
  test.each<[name: string, body: string, type: string]>([
    [
      "a million empty objects",
      `{"input":"x","more":[${many(1_000_000, () => "{}")}]}`,
      "json_too_many",
    ],
    ["a million numbers", `{"input":"x","more":[${many(1_000_000, () => "1")}]}`, "json_too_many"],
    [
      "a hundred thousand blocks",
      `{"input":[${many(100_000, (i) => `{"type":"text","text":"${i}"}`)}]}`,
      "json_too_many",
    ],
    [
      "fifty thousand blocks",
      `{"input":[${many(50_000, (i) => `{"type":"text","text":"${i}"}`)}]}`,
      "too_long",
    ],
    [
      "fifty thousand tools",
      `{"input":"x","tools":[${many(50_000, (i) => `{"name":"t${i}"}`)}]}`,
      "too_long",
    ],
    [
      "one tool of a million characters",
      JSON.stringify({ input: "x", tools: [{ name: "t", description: LONG }] }),
      "value_error",
    ],
    ["a million arrays in one another", `{"input":${"[".repeat(1_000_000)}`, "json_too_deep"],
    ["a million objects in one another", `{"input":${'{"a":'.repeat(1_000_000)}`, "json_too_deep"],
    [
      "a number of a million digits",
      `{"input":"x","n":${"1".repeat(1_000_000)}}`,
      "json_number_too_long",
    ],
    [
      "a name of a million characters",
      `{"input":"x","${"n".repeat(1_000_000)}":1}`,
      "json_name_too_long",
    ],
    [
      "two million characters that are no base64",
      JSON.stringify({
        input: [
          {
            type: "document",
            source: { type: "base64", media_type: "application/pdf", data: LONG },
          },
        ],
      }),
      "base64_invalid",
    ],
    [
      "an address of two million characters",
      JSON.stringify({
        input: [{ type: "image", source: { type: "url", url: `ftp://${"a".repeat(2_000_000)}` } }],
      }),
      "url_scheme",
    ],
  ])("%s", async (_, body, type) => {
    const session = await newSession();
    const response = await post(`${session}/turns`, body);
    expect(response.status).toBe(422);
    const problem = await response.json<{ errors: { type: string }[] }>();
    expect(problem.errors.map((error) => error.type)).toEqual([type]);
    expect(await (await get(session)).json()).toMatchObject({ last_event_id: 1 });
  });

  test("fifty thousand blocks that are none", async () => {
    const session = await newSession();
    const body = `{"input":[${many(50_000, () => '{"type":"none"}')}]}`;
    const response = await post(`${session}/turns`, body);
    expect(response.status).toBe(422);
    expect((await response.text()).length).toBeLessThan(100_000);
  });
});

describe("a body that is smaller in memory than in bytes is taken:", () => {
  test("half a million escapes", async () => {
    const session = await newSession();
    standin.script(text("Nothing."));
    const body = `{"input":"${"\\u0000".repeat(500_000)}"}`;
    expect((await post(`${session}/turns`, body)).status).toBe(200);
    same(textIn(user(0)[0]?.content[0]), "\u0000".repeat(500_000));
  });

  test("two million escapes, which are too long for the model", async () => {
    const session = await newSession();
    standin.expectRefusal();
    const body = `{"stream":true,"input":"${"\\u0000".repeat(2_000_000)}"}`;
    const frames = await allFrames(await post(`${session}/turns`, body));
    expect(frames.at(-1)?.data).toMatchObject({ type: "error", code: "context_overflow" });
    standin.script(text("Hello."));
    expect((await post(`${session}/turns`, { input: "Hi" })).status).toBe(200);
  });

  test("halves of surrogate pairs, which become characters", async () => {
    const session = await newSession();
    standin.script(text("Odd."));
    const body = `{"input":"${"\\ud800".repeat(400_000)}"}`;
    expect((await post(`${session}/turns`, body)).status).toBe(200);
    same(textIn(user(0)[0]?.content[0]), "\ufffd".repeat(400_000));
  });

  test("white space between the values, and values that nobody asked for", async () => {
    const session = await newSession();
    standin.script(text("Well."));
    const more = many(100_000, (i) => `{"k${i}":${i}}`);
    const body = `{"input":"x",${" ".repeat(1_000_000)}"more":[${more}]}`;
    expect((await post(`${session}/turns`, body)).status).toBe(200);
  });
});
