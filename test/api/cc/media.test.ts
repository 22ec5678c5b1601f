/** The images and documents of a session, by hash. */
import { expect, test } from "vitest";
import { sha256Hex } from "../../../src/http/canonical.ts";
import { text } from "../../../src/standin/replies.ts";
import { get, imageBlock, newSession, pngBytes, post, standin, withStandin } from "./server.ts";

withStandin();

interface Started {
  data: { data: { input: { source: { url: string; sha256: string; bytes: number } }[] } }[];
}

/** Sends one block, and gives the reference that the session's history has instead. */
async function sent(session: string, block: object) {
  standin.script(text("Nice."));
  expect((await post(`${session}/turns`, { input: [block] })).status).toBe(200);
  const events = await get(`${session}/events?type=turn.started`);
  const [event] = (await events.json<Started>()).data;
  return event?.data.input[0]?.source;
}

test("an image's bytes are served as what they are, for ever, and run nothing", async () => {
  const session = await newSession();
  const bytes = pngBytes(2_500_000);
  const source = await sent(session, imageBlock(bytes));
  expect(source).toEqual({
    type: "media",
    media_type: "image/png",
    bytes: bytes.length,
    sha256: await sha256Hex(bytes),
    url: `${session}/media/${await sha256Hex(bytes)}`,
  });
  const response = await get(source?.url ?? "");
  expect(response.status).toBe(200);
  expect(Object.fromEntries(response.headers)).toMatchObject({
    "content-type": "image/png",
    "cache-control": "private, max-age=31536000, immutable",
    "x-content-type-options": "nosniff",
    "content-security-policy": "sandbox",
  });
  const got = new Uint8Array(await response.arrayBuffer());
  expect(await sha256Hex(got)).toBe(source?.sha256);
});

test("a document is served as what its first bytes say", async () => {
  const session = await newSession();
  const pdf = new TextEncoder().encode(`%PDF-1.7\n${"x".repeat(9000)}`);
  const source = await sent(session, {
    type: "document",
    source: { type: "base64", media_type: "application/pdf", data: pdf.toBase64() },
  });
  const response = await get(source?.url ?? "");
  expect(response.headers.get("content-type")).toBe("application/pdf");
  expect(new Uint8Array(await response.arrayBuffer())).toEqual(pdf);
});

test.each(["0".repeat(64), "0".repeat(63), "X".repeat(64), "..%2Ffollow"])(
  "%s is 404",
  async (sha) => {
    const session = await newSession();
    expect((await get(`${session}/media/${sha}`)).status).toBe(404);
  },
);

test("one session's media are not another's", async () => {
  const [mine, other] = [await newSession(), await newSession()];
  const source = await sent(mine, imageBlock(pngBytes(10_000)));
  expect((await get(`${other}/media/${source?.sha256}`)).status).toBe(404);
});
