/** Bodies of uploads are held whole, so one that does not come is not waited for. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { collect } from "../../src/session/file-body.ts";
import { FileRefused } from "../../src/session/file-calls.ts";
import { FAR_FUTURE, FakeClock } from "../support/fake-clock.ts";

let clock: FakeClock;
beforeEach(() => {
  clock = new FakeClock(FAR_FUTURE);
});
afterEach(() => clock.restore());

const END = "the end";

/** A body whose pieces are waited for once more when `send` is over. */
function sender() {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const writer = writable.getWriter();
  const send = async (text: string) => {
    const waiting = clock.nextTimer(60_000);
    await writer.write(new TextEncoder().encode(text));
    await waiting;
  };
  return { readable, send };
}

const collected = (body: ReadableStream<Uint8Array>) =>
  collect(body, { maxBytes: 60_000_000, length: 50_000_000, end: END }).then(
    ({ bytes, release }) => {
      release();
      return bytes.byteLength;
    },
    (error) => (error instanceof FileRefused ? error.code : error),
  );

test("a body that stops coming is let go after a minute, and one that is slow is not", async () => {
  const { readable, send } = sender();
  const body = collected(readable);
  for (let i = 0; i < 5; i++) {
    await send("slow");
    clock.advance(59_000);
  }
  await send("last");
  clock.advance(60_000);
  expect(await body).toBe("body_cut");
});

test("what it held is free again", async () => {
  for (let i = 0; i < 5; i++) {
    const { readable, send } = sender();
    const body = collected(readable);
    await send("x".repeat(30_000_000));
    clock.advance(60_000);
    expect(await body).toBe("body_cut");
  }
});
