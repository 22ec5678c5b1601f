/** Requests of tools: every hop is checked, and nothing leaks from one host to another. */
import { expect, test } from "vitest";
import { type GuardedRequestOptions, guardedRequest } from "../../src/net/guard.ts";
import type { Clock } from "../../src/shared/clock.ts";

/** A web of answers by address; what is asked for is noted. */
function web(answers: Record<string, () => Response | Promise<Response>>) {
  const asked: { url: string; init: RequestInit }[] = [];
  const fetch = async (url: URL, init: RequestInit): Promise<Response> => {
    asked.push({ url: url.href, init });
    const answer = answers[url.href];
    if (!answer) throw new TypeError("no such host");
    return answer();
  };
  return { fetch, asked };
}

const redirect =
  (to: string, status = 302) =>
  (): Response =>
    new Response("moved", { status, headers: { location: to } });

const send = (address: string, options: Partial<GuardedRequestOptions>) =>
  guardedRequest(address, { maxBytes: 100, timeoutMs: 1_000, allow: [], ...options });

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

test("any status is an answer, with its headers, body and final address", async () => {
  const { fetch } = web({
    "https://example.com/a": redirect("/b"),
    "https://example.com/b": () =>
      new Response("gone", { status: 410, statusText: "Gone", headers: { "x-a": "1" } }),
  });
  const answer = await send("https://example.com/a", { fetch });
  if (!answer.ok) throw new Error(answer.message);
  expect(answer).toMatchObject({ url: "https://example.com/b", status: 410, statusText: "Gone" });
  expect(answer.headers.get("x-a")).toBe("1");
  expect(text(answer.bytes)).toBe("gone");
});

test.each([
  [301, "POST", "GET"],
  [302, "POST", "GET"],
  [303, "POST", "GET"],
  [303, "PUT", "GET"],
  [303, "HEAD", "HEAD"],
  [301, "PUT", "PUT"],
  [302, "DELETE", "DELETE"],
  [307, "POST", "POST"],
  [308, "POST", "POST"],
])("a redirect with %i makes a %s to a %s", async (status, method, then) => {
  const { fetch, asked } = web({
    "https://example.com/a": redirect("/b", status),
    "https://example.com/b": () => new Response("ok"),
  });
  const body = method === "HEAD" ? {} : { body: "data" };
  const headers = { "Content-Type": "text/plain", "x-a": "1" };
  const answer = await send("https://example.com/a", { fetch, method, headers, ...body });
  expect(answer.ok).toBe(true);
  const init = asked[1]?.init;
  expect(init?.method).toBe(then);
  const keeps = then === method && method !== "HEAD";
  expect(init?.body).toBe(keeps ? "data" : undefined);
  const kept = then === method ? headers : { "x-a": "1" };
  expect(init?.headers).toEqual(kept);
});

test("credentials stay with their origin", async () => {
  const { fetch, asked } = web({
    "https://example.com/a": redirect("/b"),
    "https://example.com/b": redirect("https://other.example/c"),
    "https://other.example/c": redirect("https://example.com/d"),
    "https://example.com/d": () => new Response("ok"),
  });
  const secret = { Authorization: "Bearer x", cookie: "a=b", "X-Api-Key": "k" };
  await send("https://example.com/a", { fetch, headers: { ...secret, accept: "*/*" } });
  const headers = asked.map(({ init }) => init.headers);
  const bare = { accept: "*/*" };
  // They do not come back either once they were left out.
  expect(headers).toEqual([{ ...secret, ...bare }, { ...secret, ...bare }, bare, bare]);
});

test("another scheme or port is another origin", async () => {
  const { fetch, asked } = web({
    "https://example.com/a": redirect("http://example.com/b"),
    "http://example.com/b": () => new Response("ok"),
  });
  await send("https://example.com/a", { fetch, headers: { authorization: "x" } });
  expect(asked[1]?.init.headers).toEqual({});
});

test.each([
  ["http://127.0.0.1/", "url_host"],
  ["http://169.254.169.254/latest/meta-data/", "url_host"],
  ["https://[::1]/", "url_host"],
  ["https://example.com:8080/", "url_port"],
  ["file:///etc/passwd", "url_scheme"],
  ["https://a:b@example.com/", "url_credentials"],
])("%s is refused, as an address and as a redirect", async (address, code) => {
  const { fetch, asked } = web({ "https://example.com/a": redirect(address, 307) });
  expect(await send(address, { fetch })).toMatchObject({ ok: false, code });
  expect(asked).toHaveLength(0);
  const body = { method: "POST", body: "secret" };
  expect(await send("https://example.com/a", { fetch, ...body })).toMatchObject({ code });
  expect(asked).toHaveLength(1);
});

test("redirects are given as they are where that is asked for", async () => {
  const { fetch, asked } = web({
    "https://example.com/a": redirect("https://www.example.com/b"),
    "https://www.example.com/b": redirect("https://other.example/c"),
  });
  const manual = await send("https://example.com/a", { fetch, redirect: "manual" });
  expect(manual).toMatchObject({ ok: true, status: 302, url: "https://example.com/a" });
  expect(asked).toHaveLength(1);
  const same = await send("https://example.com/a", { fetch, redirect: "same-host" });
  expect(same).toMatchObject({ ok: true, status: 302, url: "https://www.example.com/b" });
});

test("secure requests go over https, but for hosts of the list", async () => {
  const ok = () => new Response("ok");
  const { fetch, asked } = web({
    "https://example.com/": redirect("http://example.com/b"),
    "https://example.com/b": ok,
    "http://localhost:81/": ok,
    "http://listed.example/": ok,
  });
  const allow = ["localhost:81", "listed.example"];
  const secure = (address: string) => send(address, { fetch, allow, secure: true });
  expect((await secure("http://example.com/")).ok).toBe(true);
  expect((await secure("http://localhost:81/")).ok).toBe(true);
  expect((await secure("http://listed.example/")).ok).toBe(true);
  expect(asked.map(({ url }) => url)).toEqual([
    "https://example.com/",
    "https://example.com/b",
    "http://localhost:81/",
    "http://listed.example/",
  ]);
});

test("a body of exactly the limit is taken, one byte more is not", async () => {
  let cancelled = false;
  const { fetch } = web({
    "https://example.com/fits": () => new Response(new Uint8Array(100)),
    "https://example.com/more": () => new Response(new Uint8Array(101)),
    "https://example.com/endless": () =>
      new Response(
        new ReadableStream<Uint8Array>({
          pull: (controller) => controller.enqueue(new Uint8Array(40)),
          cancel() {
            cancelled = true;
          },
        }),
      ),
  });
  expect(await send("https://example.com/fits", { fetch })).toMatchObject({ ok: true });
  for (const path of ["more", "endless"]) {
    expect(await send(`https://example.com/${path}`, { fetch })).toMatchObject({
      ok: false,
      code: "fetch_too_large",
    });
  }
  expect(cancelled).toBe(true);
});

/** An answer that never comes, unless its signal ends it. */
const never = (_: URL, { signal }: RequestInit): Promise<Response> =>
  new Promise((_resolve, reject) => {
    const end = () => reject(new Error("aborted"));
    if (signal?.aborted) end();
    signal?.addEventListener("abort", end);
  });

test("the time limit covers a body that stops in its middle", async () => {
  let fire = (): void => {};
  const clock: Clock = {
    now: () => 0,
    after(_, run) {
      fire = run;
      return () => {};
    },
  };
  const fetch = async (_: URL, { signal }: RequestInit) =>
    new Response(
      new ReadableStream<Uint8Array>({
        start(controller) {
          controller.enqueue(new Uint8Array(1));
          signal?.addEventListener("abort", () => controller.error(signal.reason));
        },
        // The reader has taken what there was.
        pull: () => fire(),
      }),
    );
  expect(await send("https://example.com/", { fetch, clock })).toMatchObject({
    ok: false,
    code: "fetch_timeout",
  });
});

test("an interrupt ends the request, before it begins and while it waits", async () => {
  const stopped = { ok: false, code: "fetch_aborted" };
  const before = AbortSignal.abort();
  expect(await send("https://example.com/", { fetch: never, signal: before })).toMatchObject(
    stopped,
  );
  const during = new AbortController();
  const fetch = (url: URL, init: RequestInit) => {
    const answer = never(url, init);
    during.abort();
    return answer;
  };
  expect(await send("https://example.com/", { fetch, signal: during.signal })).toMatchObject(
    stopped,
  );
});

test("the host is that of the address, whatever the headers say", async () => {
  const { fetch, asked } = web({ "https://example.com/a": () => new Response("ok") });
  await send("https://example.com/a", { fetch, headers: { HOST: "db.internal", "x-a": "1" } });
  expect(asked[0]?.init.headers).toEqual({ "x-a": "1" });
});

test("a host that a rule denies is not asked, nor by a redirect", async () => {
  const { fetch, asked } = web({ "https://example.com/a": redirect("https://denied.test.com/b") });
  const refuses = (hostname: string) => hostname === "denied.test.com";
  const denied = { ok: false, code: "url_denied", message: "A rule denies this host" };
  expect(await send("https://example.com/a", { fetch, refuses })).toEqual(denied);
  expect(await send("https://denied.test.com/", { fetch, refuses })).toEqual(denied);
  expect(asked).toHaveLength(1);
});
