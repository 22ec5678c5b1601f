/** The headers that keep browsers and caches from doing more with an answer than reading it. */
import { describe, expect, test } from "vitest";
import { ROUTES as CC } from "../../src/api/cc/routes.ts";
import { ROUTES as CHAT } from "../../src/api/chat/routes.ts";
import { ROUTES as CODE } from "../../src/api/code/routes.ts";
import { text } from "../../src/standin/replies.ts";
import {
  get,
  idOf,
  imageBlock,
  newSession,
  pngBytes,
  post,
  send,
  serverWith,
  standin,
  withStandin,
} from "../api/cc/server.ts";

withStandin();

/** What each answer has. Files of a session, which may be pages, are in a sandbox instead. */
function expectSafe({ headers }: Response): void {
  expect(Object.fromEntries(headers)).toMatchObject({
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "strict-transport-security": "max-age=15552000",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "content-security-policy": expect.stringMatching(/default-src 'none'|^sandbox$/),
    "cache-control": expect.stringMatching(/no-store|no-cache|private/),
    "x-request-id": expect.stringMatching(/^req_/),
  });
}

const NOBODY = "sess_01ARZ3NDEKTSV4RRFFQ69G5FAV";

const pathOf = (pattern: string): string =>
  pattern
    .replace(/:(id|name)\b/, NOBODY)
    .replace(/:(turn|input|key|sha256|template|job)\b/, "nothing")
    .replace("*", "a.txt");

const routes = [...CC, ...CODE, ...CHAT].map(({ method, path }) => [method, pathOf(path)] as const);

const KEYED = serverWith({ CC_API_KEY: "a-key", ALLOW_ANONYMOUS: "false" });
const AUTH = { authorization: "Bearer a-key" };

describe.each(routes)("%s %s", (method, path) => {
  const body = method === "GET" || method === "DELETE" ? undefined : {};

  test("answers with the security headers, whoever asks", async () => {
    for (const headers of [{}, AUTH]) {
      const response = await KEYED(method, path, body, headers);
      expectSafe(response);
      await response.text();
    }
  });

  test("does so in its errors: a body that is no JSON, and a wrong configuration", async () => {
    // One route takes no body, and looks at none.
    if (body && !path.endsWith("/templates/reload")) {
      const response = await KEYED(method, path, "{", AUTH);
      expect(response.status).toBeGreaterThanOrEqual(400);
      expectSafe(response);
    }
    const wrong = await serverWith({ MAX_BODY_MB: "much" })(method, path, body);
    expect(wrong.status).toBe(503);
    expectSafe(wrong);
  });
});

test("an unknown path, a method that a path does not have, and a body that is too large have them", async () => {
  const large = await serverWith({ MAX_BODY_MB: "1" })(
    "POST",
    "/api/sessions",
    " ".repeat(2 ** 21),
  );
  const answers = [
    [404, await get("/nowhere")],
    [404, await get("/api/nowhere")],
    [405, await send("PUT", "/api/sessions")],
    [404, await get("/api/v1/nowhere")],
    [405, await send("PUT", "/api/v1/sessions")],
    // Asked directly, because a client would follow it.
    [307, await serverWith({})("GET", "/api/v1/sessions/")],
    [413, large],
    [200, await send("HEAD", "/api/sessions")],
  ] as const;
  for (const [status, response] of answers) {
    expect(response.status).toBe(status);
    expectSafe(response);
  }
});

test("streams, files, archives, media and exports have them, and so do parts and unchanged ones", async () => {
  const session = await newSession();
  standin.script(text("Hello."));
  const input = [imageBlock(pngBytes(20_000))];
  const turn = await post(`${session}/turns`, { input, stream: true });
  expectSafe(turn);
  await turn.text();
  for (const name of ["a.html", "b.html"]) {
    await send("PUT", `${session}/files/${name}`, "<script>alert(1)</script>");
  }
  const { data } = await (await get(`${session}/events?type=turn.started`)).json<{
    data: { data: { input: { source: { url: string } }[] } }[];
  }>();
  const image = data[0]?.data.input[0]?.source.url ?? "";
  const file = await get(`${session}/files/a.html`);
  const etag = file.headers.get("etag") ?? "";
  const answers = [
    [200, file],
    [304, await get(`${session}/files/a.html`, { "if-none-match": etag })],
    [206, await get(`${session}/files/a.html`, { range: "bytes=0-3" })],
    [416, await get(`${session}/files/a.html`, { range: "bytes=99-" })],
    [404, await get(`${session}/files/none`)],
    [200, await get(`${session}/files`)],
    [200, await get(`${session}/files.zip`)],
    [200, await get(image.replace(/^https?:\/\/[^/]*/, ""))],
    [200, await get(`${session}/export?media=include`)],
    [200, await send("DELETE", `${session}/files/a.html`)],
  ] as const;
  for (const [status, response] of answers) {
    expect(response.status).toBe(status);
    expectSafe(response);
    await response.arrayBuffer();
  }
  const code = session.replace("/api/", "/api/v1/");
  standin.script(text("Hello."), text("Hello."));
  const others = [
    [200, await post(`${code}/chat`, { message: "Hi" })],
    [200, await post(`${code}/chat/stream`, { message: "Hi" })],
    [200, await get(`${code}/files/b.html`)],
    [304, await get(`${code}/files/b.html`, { "if-none-match": "*" })],
    [206, await get(`${code}/files/b.html`, { range: "bytes=0-3" })],
    [204, await send("DELETE", `/api/v1/sessions/${idOf(await newSession())}`)],
  ] as const;
  for (const [status, response] of others) {
    expect(response.status).toBe(status);
    expectSafe(response);
    await response.arrayBuffer();
  }
  const events = await get(`${session}/events/stream?after=0`);
  expectSafe(events);
  await events.body?.cancel();
});

describe("CORS", () => {
  const origin = "https://app.example";
  const open = serverWith({ CC_API_KEY: "a-key", CORS_ORIGINS: origin });

  test.each(routes)(
    "an allowed page may ask for %s %s, and read the answer",
    async (method, path) => {
      const preflight = await open("OPTIONS", path, undefined, {
        origin,
        "access-control-request-method": method,
        "access-control-request-headers": "authorization,content-type,x-request-id",
      });
      expect(preflight.status).toBe(204);
      expect(preflight.headers.get("access-control-allow-origin")).toBe(origin);
      const allowed = preflight.headers.get("access-control-allow-headers")?.split(",") ?? [];
      expect(allowed).toEqual(
        expect.arrayContaining(["authorization", "x-api-key", "content-type", "x-request-id"]),
      );
      expect(preflight.headers.get("access-control-allow-methods")?.split(",")).toContain(method);
      const answer = await open(method, path, undefined, { ...AUTH, origin });
      expect(answer.headers.get("access-control-allow-origin")).toBe(origin);
      expect(answer.headers.get("vary")).toContain("Origin");
      expect(answer.headers.has("access-control-allow-credentials")).toBe(false);
      await answer.text();
      const foreign = await open(method, path, undefined, {
        ...AUTH,
        origin: "https://evil.example",
      });
      expect(foreign.headers.has("access-control-allow-origin")).toBe(false);
      await foreign.text();
    },
  );

  test("pages may read every header of ours that an answer can have", async () => {
    const { headers } = await open("GET", "/api/sessions", undefined, { ...AUTH, origin });
    const exposed = headers.get("access-control-expose-headers")?.split(",") ?? [];
    expect(exposed).toEqual(
      expect.arrayContaining([
        "x-request-id",
        "x-response-time",
        "retry-after",
        "x-ratelimit-remaining",
        "etag",
      ]),
    );
  });
});
