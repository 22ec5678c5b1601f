import { request } from "node:http";
import { expect, test } from "vitest";
import { dataFolder, startedServer } from "./support.ts";

/** POSTs a new session with headers that `fetch` would not let through. */
function create(url: string, headers: Record<string, string>): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const post = request(`${url}/api/sessions`, { method: "POST", headers }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    post.on("error", reject);
    post.end("{}");
  });
}

test("pages of other sites cannot use a server without a key", async () => {
  const { url } = await startedServer(await dataFolder(), {});
  const { host } = new URL(url);
  const json = { "content-type": "application/json" };
  expect(await create(url, json)).toBe(201);
  expect(await create(url, { ...json, origin: url })).toBe(201);
  expect(await create(url, { ...json, origin: "https://evil.example" })).toBe(503);
  // What a page may send without a preflight.
  expect(await create(url, { "content-type": "text/plain", origin: "null" })).toBe(503);
  expect(await create(url, { ...json, "sec-fetch-site": "cross-site" })).toBe(503);
  // A foreign name that leads to this machine.
  expect(await create(url, { ...json, host: `evil.example:${new URL(url).port}` })).toBe(503);
  expect(await create(url, { ...json, host })).toBe(201);
});
