import { describe, expect, it } from "vitest";
import { encodeRequest, RequestBody } from "../../src/model/request-body.ts";
import { LongText, TextBuilder } from "../../src/shared/long-text.ts";
import { REQUEST } from "./upstreams.ts";

const LONG = 'wörd 😀 \u0000"\\ '.repeat(20_000);

function longText(text: string): LongText {
  const builder = new TextBuilder(true);
  builder.add(text);
  const built = builder.finish();
  if (typeof built === "string") throw new Error("it is short");
  return built;
}

const taken = (params: object) => new RequestBody(params).take();

describe("the body of a request", () => {
  it("is a text when it is short", () => {
    const { body, betas } = encodeRequest(REQUEST);
    expect(body.take()).toBe(JSON.stringify(REQUEST.params));
    expect(betas).toEqual([]);
  });

  it("is a stream of the same text, of a known length, when it is long", async () => {
    const params = { model: "m", messages: [{ content: [{ text: LONG }, { text: "hi" }] }] };
    const body = taken(params);
    expect(body).toBeInstanceOf(ReadableStream);
    // The stream fails when its bytes are not as many as it has said.
    expect(await new Response(body).text()).toBe(JSON.stringify(params));
  });

  it("writes what is not in memory when its turn has come", async () => {
    let read = 0;
    const bytes = new Uint8Array(100_000).fill(7).toBase64();
    const stored = new LongText(
      bytes.length,
      function* () {
        read += 1;
        yield bytes.slice(0, 64_000);
        yield bytes.slice(64_000);
      },
      { plain: true },
    );
    const block = { type: "image", source: { type: "base64", data: stored } };
    const body = taken({ content: [{ text: longText(LONG) }, block, block] });
    expect(read).toBe(0);
    const sent = { ...block, source: { ...block.source, data: bytes } };
    expect(await new Response(body).json()).toEqual({ content: [{ text: LONG }, sent, sent] });
    expect(read).toBe(2);
  });

  it("ends with an error when a piece cannot be read", async () => {
    const gone = new LongText(
      100_000,
      function* () {
        yield "x";
        throw new Error("deleted");
      },
      { plain: true },
    );
    await expect(new Response(taken({ gone })).text()).rejects.toThrow("deleted");
  });

  it("ends quietly when nobody reads it any more", async () => {
    const body = taken({ text: LONG });
    if (typeof body === "string") throw new Error("it is short");
    const reader = body.getReader();
    expect((await reader.read()).done).toBe(false);
    await reader.cancel();
  });
});
