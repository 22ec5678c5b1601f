/** Which addresses may be webhooks: fewer than may be fetched. */
import { expect, test } from "vitest";
import { checkWebhookAddress, postWebhook } from "../../src/net/guard.ts";

const codeOf = (address: string, allow: string[] = []) => {
  const checked = checkWebhookAddress(address, allow);
  return checked.ok ? null : checked.code;
};

test.each([
  "https://hooks.example.com/",
  "https://hooks.example.com:443/a?token=b",
  "https://HOOKS.example.com/",
])("%s may be one", (address) => {
  expect(codeOf(address)).toBeNull();
});

test.each([
  ["http://hooks.example.com/", "url_scheme"],
  ["http://hooks.example.com:443/", "url_scheme"],
  ["https://hooks.example.com:80/", "url_port"],
  ["https://hooks.example.com:8443/", "url_port"],
  ["https://93.184.216.34/", "url_host"],
  ["https://1572395042/", "url_host"],
  ["https://[2606:2800:220:1:248:1893:25c8:1946]/", "url_host"],
  ["https://127.0.0.1/", "url_host"],
  ["https://hooks.internal/", "url_host"],
  ["https://me@hooks.example.com/", "url_credentials"],
  ["hooks.example.com", "url_invalid"],
])("%s may not: %s", (address, code) => {
  expect(codeOf(address)).toBe(code);
});

test("a host on the list may, over http, at its port and as an address", () => {
  expect(codeOf("http://127.0.0.1:9000/", ["127.0.0.1:9000"])).toBeNull();
  expect(codeOf("http://127.0.0.1:9001/", ["127.0.0.1:9000"])).toBe("url_port");
  expect(codeOf("http://receiver.internal/", ["receiver.internal"])).toBeNull();
});

test("a message is posted once, wherever the answer leads, and its body is left unread", async () => {
  const asked: [string, RequestInit][] = [];
  let cancelled = false;
  const body = new ReadableStream({
    cancel: () => {
      cancelled = true;
    },
  });
  const answer = new Response(body, { status: 307, headers: { location: "https://10.0.0.1/" } });
  const told = await postWebhook("https://hooks.example.com/", {
    headers: { "webhook-id": "msg_1" },
    body: new Uint8Array([123, 125]),
    timeoutMs: 10_000,
    allow: [],
    async fetch(url, init) {
      asked.push([url.href, init]);
      return answer;
    },
  });
  expect(told).toEqual({ ok: true, status: 307 });
  expect(cancelled).toBe(true);
  expect(asked.map(([url, { method, redirect }]) => [url, method, redirect])).toEqual([
    ["https://hooks.example.com/", "POST", "manual"],
  ]);
});
