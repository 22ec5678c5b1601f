import { expect, test } from "vitest";
import { checkAddress, guardedFetch } from "../../src/net/guard.ts";
import type { Clock } from "../../src/shared/clock.ts";

const codeOf = (address: string, allow: string[] = []): string => {
  const result = checkAddress(address, allow);
  return result.ok ? "ok" : result.code;
};

test.each([
  "https://example.com/a.png",
  "http://example.com",
  "https://example.com:443/",
  "http://example.com:80/",
  "http://example.com:443/",
  "https://sub.domain.example.co.uk/x?y=z#f",
  "https://example.com./",
  "https://localhost.example.com/",
  "https://internal.example/",
  "https://münchen.example/",
  "https://1.1.1.1/",
  "https://8.8.8.8/",
  "https://9.255.255.255/",
  "https://11.0.0.0/",
  "https://100.63.255.255/",
  "https://100.128.0.0/",
  "https://126.255.255.255/",
  "https://128.0.0.0/",
  "https://169.253.255.255/",
  "https://169.255.0.0/",
  "https://172.15.255.255/",
  "https://172.32.0.0/",
  "https://192.0.1.0/",
  "https://192.167.255.255/",
  "https://192.169.0.0/",
  "https://198.17.255.255/",
  "https://198.20.0.0/",
  "https://223.255.255.255/",
  "https://[2606:4700:4700::1111]/",
  "https://[2001:200::1]/",
  "https://[2003::1]/",
  "https://[2001:db9::1]/",
  "https://[3ffe::1]/",
])("%s may be fetched", (address) => {
  expect(codeOf(address)).toBe("ok");
});

test.each([
  // this network
  "http://0.0.0.0/",
  "http://0/",
  "http://0.255.255.255/",
  // private
  "http://10.0.0.0/",
  "http://10.255.255.255/",
  "http://172.16.0.0/",
  "http://172.31.255.255/",
  "http://192.168.0.0/",
  "http://192.168.255.255/",
  // carrier-grade NAT
  "http://100.64.0.0/",
  "http://100.127.255.255/",
  // loopback, in all spellings
  "http://127.0.0.1/",
  "http://127.255.255.255/",
  "http://127.1/",
  "http://127.0.1/",
  "http://2130706433/",
  "http://0x7f000001/",
  "http://0x7f.0.0.1/",
  "http://0X7F.1/",
  "http://0177.0.0.1/",
  "http://017700000001/",
  "http://127.0.0.1./",
  "http://0x7f.1./",
  "http://127.0.0.1../",
  "http://%31%32%37.0.0.1/",
  "http://１２７.0.0.1/",
  "http://127。0。0。1/",
  // link-local and metadata
  "http://169.254.0.0/",
  "http://169.254.169.254/latest/meta-data/",
  "http://0xa9fea9fe/",
  "http://2852039166/",
  "http://169.254.255.255/",
  "http://metadata.google.internal/",
  // protocol assignments, documentation, benchmarks, relays
  "http://192.0.0.0/",
  "http://192.0.0.255/",
  "http://192.0.2.1/",
  "http://192.88.99.1/",
  "http://198.18.0.0/",
  "http://198.19.255.255/",
  "http://198.51.100.1/",
  "http://203.0.113.1/",
  // multicast, reserved, broadcast
  "http://224.0.0.0/",
  "http://239.255.255.255/",
  "http://240.0.0.0/",
  "http://255.255.255.255/",
  // IPv6: unspecified, loopback, mapped, compatible, translated
  "http://[::]/",
  "http://[::1]/",
  "http://[0:0:0:0:0:0:0:1]/",
  "http://[::ffff:127.0.0.1]/",
  "http://[::ffff:7f00:1]/",
  "http://[::ffff:8.8.8.8]/",
  "http://[0:0:0:0:0:ffff:a9fe:a9fe]/",
  "http://[::127.0.0.1]/",
  "http://[64:ff9b::7f00:1]/",
  "http://[64:ff9b:1::1]/",
  // IPv6: discard, Teredo and other assignments, documentation, 6to4
  "http://[100::1]/",
  "http://[2001::1]/",
  "http://[2001:20::1]/",
  "http://[2001:1ff:ffff::1]/",
  "http://[2001:db8::1]/",
  "http://[2001:db8:ffff::1]/",
  "http://[2002:7f00:1::]/",
  "http://[2002:ffff::1]/",
  "http://[3fff::1]/",
  "http://[3fff:fff::1]/",
  "http://[5f00::1]/",
  // IPv6: unique local, link-local, site-local, multicast
  "http://[fc00::1]/",
  "http://[fd00:ec2::254]/",
  "http://[fdff::1]/",
  "http://[fe80::1]/",
  "http://[febf::1]/",
  "http://[fec0::1]/",
  "http://[ff02::1]/",
  "http://[1fff::1]/",
  "http://[4000::1]/",
  // names
  "http://localhost/",
  "http://LOCALHOST/",
  "http://localhost./",
  "http://a.localhost/",
  "http://printer.local/",
  "http://db.internal/",
  "http://db.internal./",
  "http://localhost.localdomain/",
  "http://localhost4.localdomain4/",
  "http://kubernetes.default.svc/",
  "http://nas.home.arpa/",
  "http://nas.lan/",
  "http://intranet/",
  "http://x.corp/",
  "http://example/",
  "http://com./",
])("%s may not be fetched: its host is not public", (address) => {
  expect(codeOf(address)).toBe("url_host");
});

test.each([
  ["", "url_invalid"],
  ["example.com", "url_invalid"],
  ["//example.com/", "url_invalid"],
  ["http://", "url_invalid"],
  ["http://exa mple.com/", "url_invalid"],
  ["http://1.2.3.4.5/", "url_invalid"],
  ["http://256.1.1.1/", "url_invalid"],
  ["http://[::1%25eth0]/", "url_invalid"],
  ["ftp://example.com/", "url_scheme"],
  ["file:///etc/passwd", "url_scheme"],
  ["data:image/png;base64,AAAA", "url_scheme"],
  ["javascript:alert(1)", "url_scheme"],
  ["blob:https://example.com/1", "url_scheme"],
  ["https://user@example.com/", "url_credentials"],
  ["https://user:pass@example.com/", "url_credentials"],
  ["https://:pass@example.com/", "url_credentials"],
  ["https://example.com:8443/", "url_port"],
  ["http://example.com:22/", "url_port"],
  ["http://localhost:8080/", "url_port"],
])("%j is refused as %s", (address, code) => {
  expect(codeOf(address)).toBe(code);
});

test("the allow list lets a local host through, on the ports it names", () => {
  expect(codeOf("http://localhost:9000/", ["localhost:9000"])).toBe("ok");
  expect(codeOf("http://localhost:9001/", ["localhost:9000"])).toBe("url_port");
  expect(codeOf("http://localhost/", ["localhost:9000"])).toBe("url_host");
  expect(codeOf("http://localhost/", ["localhost"])).toBe("ok");
  expect(codeOf("https://localhost/", ["localhost"])).toBe("ok");
  expect(codeOf("https://localhost/", ["localhost:443"])).toBe("ok");
  expect(codeOf("http://localhost/", ["localhost:443"])).toBe("url_host");
  expect(codeOf("http://localhost:9000/", ["localhost"])).toBe("url_port");
  expect(codeOf("http://2130706433:81/", ["127.0.0.1:81"])).toBe("ok");
  expect(codeOf("http://sub.localhost/", ["localhost"])).toBe("url_host");
  expect(codeOf("https://example.com:8443/", ["example.com:8443"])).toBe("ok");
  expect(codeOf("ftp://localhost/", ["localhost"])).toBe("url_scheme");
  expect(codeOf("http://u@localhost/", ["localhost"])).toBe("url_credentials");
});

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

const png = (bytes: BodyInit, headers: Record<string, string> = {}): Response =>
  new Response(bytes, { headers: { "content-type": "image/png", ...headers } });

const redirect =
  (to: string, status = 302) =>
  (): Response =>
    new Response("moved", { status, headers: { location: to } });

const options = { maxBytes: 100, timeoutMs: 1000, accept: ["image/png"], allow: [] };

test("the bytes and their media type come back", async () => {
  const { fetch, asked } = web({
    "https://example.com/a.png": () => png("abc", { "content-type": "Image/PNG; x=y" }),
  });
  const result = await guardedFetch("https://example.com/a.png", { ...options, fetch });
  expect(result).toEqual({
    ok: true,
    bytes: new TextEncoder().encode("abc"),
    mediaType: "image/png",
  });
  expect(asked[0]?.init).toMatchObject({ redirect: "manual", headers: { accept: "image/png" } });
});

test("a forbidden address is never asked", async () => {
  const { fetch, asked } = web({});
  const result = await guardedFetch("http://169.254.169.254/", { ...options, fetch });
  expect(result).toMatchObject({ ok: false, code: "url_host" });
  expect(asked).toEqual([]);
});

test.each([301, 302, 303, 307, 308])("a redirect with %i is followed by hand", async (status) => {
  const { fetch, asked } = web({
    "https://example.com/a": redirect("/b", status),
    "https://example.com/b": redirect("https://other.example/c", status),
    "https://other.example/c": () => png("abc"),
  });
  const result = await guardedFetch("https://example.com/a", { ...options, fetch });
  expect(result.ok).toBe(true);
  expect(asked.map((one) => one.url)).toEqual([
    "https://example.com/a",
    "https://example.com/b",
    "https://other.example/c",
  ]);
});

test.each([
  ["http://127.0.0.1/", "url_host"],
  ["//localhost/x", "url_host"],
  ["ftp://example.com/", "url_scheme"],
  ["https://u:p@example.com/", "url_credentials"],
  ["https://example.com:1234/", "url_port"],
  ["http://[", "url_invalid"],
])("a redirect to %s is refused as %s and not asked", async (to, code) => {
  const { fetch, asked } = web({ "https://example.com/a": redirect(to) });
  const result = await guardedFetch("https://example.com/a", { ...options, fetch });
  expect(result).toMatchObject({ ok: false, code });
  expect(asked).toHaveLength(1);
});

test("five redirects are followed, a sixth is not", async () => {
  const chain = (n: number) =>
    web({
      ...Object.fromEntries(
        Array.from({ length: n }, (_, i) => [`https://example.com/${i}`, redirect(`/${i + 1}`)]),
      ),
      [`https://example.com/${n}`]: () => png("abc"),
    });
  const five = await guardedFetch("https://example.com/0", { ...options, fetch: chain(5).fetch });
  expect(five.ok).toBe(true);
  const six = await guardedFetch("https://example.com/0", { ...options, fetch: chain(6).fetch });
  expect(six).toMatchObject({ ok: false, code: "fetch_redirects" });
});

test("a body of exactly the limit is taken, one byte more is not, whatever the headers say", async () => {
  const { fetch } = web({
    "https://example.com/fits": () => png(new Uint8Array(100)),
    "https://example.com/more": () => png(new Uint8Array(101)),
    "https://example.com/chunked": () =>
      png(
        new ReadableStream<Uint8Array>({
          pull(controller) {
            controller.enqueue(new Uint8Array(40));
          },
        }),
      ),
  });
  const take = (path: string) => guardedFetch(`https://example.com/${path}`, { ...options, fetch });
  expect((await take("fits")).ok).toBe(true);
  expect(await take("more")).toMatchObject({ ok: false, code: "fetch_too_large" });
  // An endless body: the answer comes because reading stops at the limit.
  expect(await take("chunked")).toMatchObject({ ok: false, code: "fetch_too_large" });
});

test("a wrong status, media type or host gives its own refusal", async () => {
  const { fetch } = web({
    "https://example.com/404": () => new Response("no", { status: 404 }),
    "https://example.com/html": () => png("<html>", { "content-type": "text/html" }),
    "https://example.com/304": () => new Response(null, { status: 304 }),
  });
  const code = async (path: string) => {
    const result = await guardedFetch(`https://example.com/${path}`, { ...options, fetch });
    return result.ok ? "ok" : result.code;
  };
  expect(await code("404")).toBe("fetch_status");
  expect(await code("304")).toBe("fetch_status");
  expect(await code("html")).toBe("fetch_media_type");
  expect(await code("unknown")).toBe("fetch_failed");
});

test("the time limit covers an answer that never comes", async () => {
  let fire = (): void => {};
  let cancelled = false;
  const clock: Clock = {
    now: () => 0,
    after(ms, run) {
      expect(ms).toBe(1000);
      fire = run;
      return () => {
        cancelled = true;
      };
    },
  };
  const fetch = (_: URL, { signal }: RequestInit): Promise<Response> =>
    new Promise((_, reject) => {
      signal?.addEventListener("abort", () => reject(new Error("aborted")));
      fire();
    });
  const result = await guardedFetch("https://example.com/", { ...options, fetch, clock });
  expect(result).toEqual({
    ok: false,
    code: "fetch_timeout",
    message: "The URL did not answer within 1 seconds",
  });
  expect(cancelled).toBe(true);
});
