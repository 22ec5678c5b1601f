/** The API's own list of models: when it is asked for, and what becomes of what it says. */
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { MODELS, rulesOf } from "../../src/model/catalogue.ts";
import { listModels, type UpstreamModel } from "../../src/model/catalogue-list.ts";
import { upstreamModels } from "../../src/model/catalogue-upstream.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { never } from "./upstreams.ts";

const HOUR = 60 * 60_000;
const NOW = Date.parse("2026-11-20T12:00:00Z");

let clock: FakeClock;
let held: Promise<void>[];
let of = 0;

beforeEach(() => {
  clock = new FakeClock(NOW);
  onTestFinished(() => clock.restore());
  held = [];
  of += 1;
});

/** An API of its own for each test, which answers each page with what `reply` returns. */
function api(reply: (query: URLSearchParams) => unknown) {
  const asked: URLSearchParams[] = [];
  const upstream = {
    apiKey: `key ${of}`,
    fetch: async (input: RequestInfo | URL): Promise<Response> => {
      const { pathname, searchParams } = new URL(String(input));
      expect(pathname).toBe("/v1/models");
      asked.push(searchParams);
      const answer = await reply(searchParams);
      return answer instanceof Response ? answer : Response.json(answer);
    },
  };
  const ids = async () =>
    (await upstreamModels(upstream, (refresh) => held.push(refresh))).map(({ id }) => id);
  return { asked, ids, models: () => upstreamModels(upstream, (refresh) => held.push(refresh)) };
}

const page = (...ids: string[]) => ({ data: ids.map((id) => ({ id })), has_more: false });

test("all its pages are read, and kept for six hours", async () => {
  const { asked, ids } = api((query) =>
    query.get("after_id") === null
      ? { ...page("a"), has_more: true, last_id: "a" }
      : page("b", "c"),
  );
  expect(await ids()).toEqual(["a", "b", "c"]);
  expect(asked.map((query) => query.get("after_id"))).toEqual([null, "a"]);
  expect(asked[0]?.getAll("lifecycle[]")).toEqual(["active", "deprecated", "retired"]);
  clock.advance(6 * HOUR - 1);
  expect(await ids()).toEqual(["a", "b", "c"]);
  expect(held).toEqual([]);
  expect(asked).toHaveLength(2);
});

test("an old list is given at once while a new one is read", async () => {
  let name = "old";
  const { asked, ids } = api(() => page(name));
  await ids();
  name = "new";
  clock.advance(6 * HOUR);
  expect(await ids()).toEqual(["old"]);
  expect(await ids()).toEqual(["old"]);
  expect(held).toHaveLength(1);
  await Promise.all(held);
  expect(asked).toHaveLength(2);
  expect(await ids()).toEqual(["new"]);
});

test.each<[string, (query: URLSearchParams) => unknown]>([
  ["an error", () => Response.json({ error: { message: "no" } }, { status: 500 })],
  ["a page that is no JSON", () => new Response("<html>")],
  ["another kind of list", () => ({ models: ["a"] })],
  ["a list without an end", () => new Response("x".repeat(5_000_000))],
  ["a redirect", () => new Response(null, { status: 302, headers: { location: "https://x" } })],
])("%s leaves the list empty, and is asked again after a minute", async (_, reply) => {
  const { asked, ids } = api(reply);
  expect(await ids()).toEqual([]);
  clock.advance(59_999);
  expect(await ids()).toEqual([]);
  expect(asked).toHaveLength(1);
  clock.advance(1);
  await ids();
  await Promise.all(held);
  expect(asked).toHaveLength(2);
});

test("an old list outlives a failure", async () => {
  let fails = false;
  const { ids } = api(() => (fails ? new Response(null, { status: 500 }) : page("a")));
  await ids();
  fails = true;
  clock.advance(6 * HOUR);
  await ids();
  await Promise.all(held);
  expect(await ids()).toEqual(["a"]);
});

test("nobody waits for an API that is silent for more than two seconds", async () => {
  const { ids } = api(never);
  const armed = clock.nextTimer(2_000);
  const answer = ids();
  await armed;
  clock.advance(2_000);
  expect(await answer).toEqual([]);
});

test("pages without an end are not followed without an end", async () => {
  const { asked, ids } = api(() => ({ ...page("a"), has_more: true, last_id: "a" }));
  expect(await ids()).toHaveLength(5);
  expect(asked).toHaveLength(5);
});

test("entries of another form are left out, and odd values count as not said", async () => {
  const { models } = api(() => ({
    data: [
      null,
      { id: 7 },
      { id: "a b" },
      { id: "x".repeat(200) },
      { id: "gateway/model", max_input_tokens: "many", max_tokens: -1, capabilities: [] },
    ],
  }));
  expect(await models()).toEqual([
    {
      id: "gateway/model",
      retired: false,
      facts: {
        name: "gateway/model",
        max_input_tokens: null,
        max_tokens: null,
        thinking: null,
        effort: [],
        server_tools: false,
        structured_outputs: true,
      },
    },
  ]);
});

describe("the list that clients see", () => {
  const facts = { ...FACTS(), name: "Claude New 9", max_input_tokens: 2_000_000 };
  const fresh: UpstreamModel = { id: "claude-new-9", retired: false, facts };

  function FACTS() {
    return {
      max_tokens: 256_000,
      thinking: null,
      effort: [],
      server_tools: true,
      structured_outputs: true,
    };
  }

  test("has what only the API has behind the table, unpriced", () => {
    const listed = listModels(null, [fresh], NOW);
    expect(listed).toHaveLength((MODELS.length + 1) * 2);
    const entry = {
      name: "Claude New 9",
      context_length: 2_000_000,
      max_completion_tokens: 256_000,
    };
    expect(listed.slice(-2)).toEqual([
      { id: "claude-new-9", ...entry },
      { id: "anthropic/claude-new-9", ...entry },
    ]);
  });

  test("leaves out what the API has retired, and names a snapshot's model once", () => {
    const listed = listModels(
      null,
      [
        { ...fresh, retired: true },
        { id: "claude-opus-4-5-20251101", retired: true, facts },
        { id: "claude-haiku-4-5-20251001", retired: false, facts },
      ],
      NOW,
    );
    const ids = listed.map(({ id }) => id);
    expect(ids).not.toContain("claude-new-9");
    expect(ids).not.toContain("claude-opus-4-5");
    expect(ids.filter((id) => id.startsWith("claude-haiku-4-5"))).toEqual(["claude-haiku-4-5"]);
    expect(listed.find(({ id }) => id === "claude-haiku-4-5")).toMatchObject({
      name: "Claude Haiku 4.5",
      context_length: 2_000_000,
    });
  });

  test("is the configured one where there is one", () => {
    const listed = listModels(["claude-new-9", "sonnet"], [fresh], NOW);
    expect(listed.map(({ id }) => id)).toEqual([
      "claude-new-9",
      "anthropic/claude-new-9",
      "claude-sonnet-5-5",
      "anthropic/claude-sonnet-5.5",
    ]);
  });

  test("does not change the rules of a model in the table", () => {
    expect(rulesOf("claude-haiku-4-5", facts)).toEqual(rulesOf("claude-haiku-4-5"));
  });
});
