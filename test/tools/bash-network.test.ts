/** `curl` asks through the guard, and nothing else does. */
import "just-bash";
import { expect, test } from "vitest";
import { guardedRequest } from "../../src/net/guard.ts";
import type { GuardedRequest, GuardedRequester } from "../../src/net/request.ts";
import { ToolBench, textOf } from "./context.ts";

/** The guard itself, with a world outside that answers with `answer`. */
function world(answer: (url: URL, init: RequestInit) => Response): {
  request: GuardedRequester;
  asked: { url: string; options: GuardedRequest }[];
} {
  const asked: { url: string; options: GuardedRequest }[] = [];
  return {
    asked,
    request: (url, options) => {
      asked.push({ url, options });
      const fetch = async (at: URL, init: RequestInit) => answer(at, init);
      return guardedRequest(url, { ...options, allow: [], fetch });
    },
  };
}

const said = async (bench: ToolBench, command: string, request: GuardedRequester) =>
  textOf(await bench.call("Bash", { command }, { request }));

test("curl sends what it is told to and gives what comes back", async () => {
  const bench = new ToolBench();
  const { request, asked } = world(
    (url, init) =>
      new Response(`${init.method} ${url.pathname} ${init.body ?? ""}`, {
        headers: { "x-one": "1" },
      }),
  );
  expect(await said(bench, "curl -s https://example.com/a", request)).toBe("GET /a");
  expect(
    await said(
      bench,
      "curl -s -X PUT -H 'X-Two: 2' -d 'q=1' https://example.com/b | tr a-z A-Z",
      request,
    ),
  ).toBe("PUT /B Q=1");
  expect(asked[1]?.options.headers).toMatchObject({ "x-two": "2" });
  expect(asked[1]?.options).toMatchObject({ maxBytes: 10 * 1024 * 1024 });
  expect(await said(bench, "curl -sL -o f https://example.com/c; cat f", request)).toBe("GET /c");
  expect(await said(bench, "curl -sI https://example.com/d", request)).toContain("x-one: 1");
  expect(
    await said(
      bench,
      "curl -sf https://example.com/e; curl -s -w '%{http_code}' -o /dev/null https://example.com",
      request,
    ),
  ).toBe("GET /e 200");
});

test("addresses that are not public are refused, and the reason is said also with -s", async () => {
  const { request, asked } = world(() => new Response("secret"));
  const bench = new ToolBench();
  for (const address of [
    "http://127.0.0.1/",
    "http://169.254.169.254/latest",
    "http://localhost/",
  ]) {
    const text = await said(bench, `curl -s ${address}`, request);
    expect(text).toMatch(/^Exit code \d+\n/);
    expect(text).toContain("The URL's host must be a public one");
    expect(text).not.toContain("secret");
  }
  expect(asked).toHaveLength(3);
});

test("a redirect to a private host is not followed, and a body is not taken beyond its limit", async () => {
  const bench = new ToolBench();
  const away = world(
    () => new Response(null, { status: 302, headers: { location: "http://10.0.0.1/" } }),
  );
  expect(await said(bench, "curl -sL https://example.com", away.request)).toContain("host must be");
  const large = world(() => new Response(new Uint8Array(11 * 1024 * 1024)));
  expect(await said(bench, "curl -s -o f https://example.com; ls", large.request)).toContain(
    "larger than",
  );
});

test("an interrupt ends a request", async () => {
  const stop = new AbortController();
  const request: GuardedRequester = (_, { signal }) => {
    const refused = new Promise<{ ok: false; code: string; message: string }>((resolve) => {
      signal?.addEventListener("abort", () =>
        resolve({ ok: false, code: "fetch_aborted", message: "The request was stopped" }),
      );
    });
    stop.abort();
    return refused;
  };
  const bench = new ToolBench();
  const result = await bench.call(
    "Bash",
    { command: "curl -s https://example.com; touch never" },
    { request, signal: stop.signal },
  );
  expect(textOf(result)).toMatch(/^The command was interrupted\./);
  expect(await bench.inside((workspace) => workspace.list("/workspace"))).toEqual([]);
});
