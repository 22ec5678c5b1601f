import { describe, expect, it } from "vitest";
import { createGate } from "../../src/standin/gate.ts";
import type { Placed } from "../../src/standin/replies.ts";
import { cutAt, holdAt, httpError, reply, text } from "../../src/standin/replies.ts";
import { createStandin } from "../../src/standin/standin.ts";
import { bill, billOf, block, MARKED, mark, SYSTEM, says } from "./cache-support.ts";
import { clientOf, longText, post, testClock, user } from "./support.ts";

const MINUTE = 60_000;

describe("lifetimes", () => {
  const request = (ttl: string) => ({
    system: [block(SYSTEM, mark(ttl))],
    messages: [user("a")],
  });

  it.each([
    ["5m", 5],
    ["1h", 60],
  ])("%s", async (ttl, minutes) => {
    const clock = testClock();
    const standin = createStandin({ clock });
    const first = await bill(standin, request(ttl));
    clock.advance(minutes * MINUTE - 1);
    const used = await bill(standin, request(ttl));
    expect(used.read).toBe(first.write5m + first.write1h);
    // Use starts the lifetime anew.
    clock.advance(minutes * MINUTE - 1);
    expect((await bill(standin, request(ttl))).read).toBe(used.read);
    clock.advance(minutes * MINUTE);
    expect((await bill(standin, request(ttl))).read).toBe(0);
  });

  it("start anew for every breakpoint up to the hit", async () => {
    const clock = testClock();
    const standin = createStandin({ clock });
    const ask = (words: string) =>
      bill(standin, { system: MARKED, messages: [says(block(longText(600, words), mark()))] });
    const first = await ask("one");
    clock.advance(4 * MINUTE);
    expect((await ask("one")).read).toBe(first.write5m);
    clock.advance(4 * MINUTE);
    // The system prompt was read as a part of the longer prefix.
    expect((await ask("two")).read).toBeGreaterThan(1_000);
  });

  it("start anew for an entry found by looking back", async () => {
    const clock = testClock();
    const standin = createStandin({ clock });
    const opening = block(longText(900));
    const first = await bill(standin, { messages: [says({ ...opening, ...mark() })] });
    clock.advance(4 * MINUTE);
    const grown = (tail: string) =>
      bill(standin, { messages: [says(opening, block(tail, mark()))] });
    expect((await grown("one")).read).toBe(first.write5m);
    clock.advance(4 * MINUTE);
    expect((await grown("two")).read).toBe(first.write5m);
  });

  it("count from the start of the request", async () => {
    const clock = testClock();
    const standin = createStandin({ clock });
    const gate = createGate();
    standin.script(reply({ blocks: [text("slow")], acts: [holdAt("request", gate)] }));
    const slow = post(standin, { model: "claude-opus-5", max_tokens: 100, ...request("5m") });
    await gate.waitUntilReached();
    clock.advance(4 * MINUTE);
    gate.open();
    await slow;
    clock.advance(MINUTE);
    expect((await bill(standin, request("5m"))).read).toBe(0);
  });

  it("parallel requests miss until the first response has begun", async () => {
    const standin = createStandin();
    const gate = createGate();
    standin.script(reply({ blocks: [text("slow")], acts: [holdAt(1, gate)] }));
    const slow = post(standin, { model: "claude-opus-5", max_tokens: 100, ...request("5m") });
    await gate.waitUntilReached();
    const parallel = await bill(standin, request("5m"));
    expect(parallel.read).toBe(0);
    expect(parallel.write5m).toBeGreaterThan(0);
    gate.open();
    expect(billOf((await slow).body).write5m).toBe(parallel.write5m);
  });

  it("a stream has begun with its first byte", async () => {
    const standin = createStandin();
    const gate = createGate();
    const usage = async (acts: readonly Placed[] = []) => {
      standin.script(reply({ blocks: [text("x")], acts }));
      const stream = clientOf(standin).messages.stream({
        model: "claude-opus-5",
        max_tokens: 100,
        system: [{ type: "text", text: SYSTEM, cache_control: { type: "ephemeral" } }],
        messages: [{ role: "user", content: "a" }],
      });
      const message = await stream.finalMessage();
      return message.usage;
    };
    const slow = usage([holdAt("headers", gate)]);
    await gate.waitUntilReached();
    expect((await usage()).cache_read_input_tokens).toBe(0);
    gate.open();
    const { cache_creation_input_tokens: written } = await slow;
    expect(written).toBeGreaterThan(1_000);
    expect((await usage()).cache_read_input_tokens).toBe(written);
  });

  it("a stream that broke before its first byte wrote nothing", async () => {
    const standin = createStandin();
    standin.script(reply({ blocks: [text("x")], acts: [cutAt("headers", "error")] }));
    const params = { ...request("5m"), model: "claude-opus-5", max_tokens: 100, stream: true };
    await expect(post(standin, params)).rejects.toThrow();
    expect((await bill(standin, request("5m"))).read).toBe(0);
  });

  it("a request that failed wrote nothing", async () => {
    const standin = createStandin();
    standin.script(httpError(529));
    await post(standin, { model: "claude-opus-5", max_tokens: 100, ...request("5m") });
    expect((await bill(standin, request("5m"))).read).toBe(0);
  });

  it("max_tokens 0 warms the cache", async () => {
    const standin = createStandin();
    const warm = { model: "claude-opus-5", ...request("5m"), max_tokens: 0 };
    const written = billOf((await post(standin, warm)).body).write5m;
    expect((await bill(standin, request("5m"))).read).toBe(written);
  });
});
