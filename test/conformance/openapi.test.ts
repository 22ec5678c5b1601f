/** The description of the API: that it is whole, that it says what holds, and that what it shows works. */
import * as v from "valibot";
import { describe, expect, test } from "vitest";
import { document, surfaces } from "../../src/api/openapi/document.ts";
import { ROUTES as DOCS_ROUTES } from "../../src/api/openapi/routes.ts";
import { problemsOf } from "../../src/http/openapi/document.ts";
import { operationName } from "../../src/http/openapi/operation.ts";
import { TITLES } from "../../src/http/problems.ts";
import { isJsonObject, type Json, type JsonObject } from "../../src/shared/content.ts";
import { text } from "../../src/standin/replies.ts";
import worker from "../../src/worker.ts";
import { get, post, serverWith, standin, withStandin } from "../api/cc/server.ts";
import { documented, takeComplaints } from "../support/documented.ts";

withStandin();

const SURFACES = await surfaces();
const DOCUMENT = await document();

const OPERATIONS = SURFACES.flatMap((surface) =>
  Object.entries(surface.operations).map(([name, operation]) => ({ name, operation, surface })),
);

/** Each object in a value, with where it is. */
function* objectsIn(value: Json, path = "#"): Generator<[path: string, object: JsonObject]> {
  if (Array.isArray(value)) {
    for (const [i, one] of value.entries()) yield* objectsIn(one, `${path}/${i}`);
  } else if (isJsonObject(value)) {
    yield [path, value];
    for (const [key, one] of Object.entries(value)) yield* objectsIn(one, `${path}/${key}`);
  }
}

test("every route of the Worker is described, and nothing that is none", () => {
  const served = worker.routes
    .filter(({ method }) => method !== "ALL")
    .map(({ method, path }) => `${method} ${path}`)
    .filter((name) => !DOCS_ROUTES.map(operationName).includes(name));
  const routes = SURFACES.flatMap((surface) => surface.routes.map(operationName));
  expect(routes.toSorted()).toEqual([...new Set(served)].toSorted());
  expect(OPERATIONS.map(({ name }) => name).toSorted()).toEqual(routes.toSorted());
});

test("/openapi.json is the document, and everybody may read it", async () => {
  const response = await serverWith({ CC_API_KEY: "k3y" })("GET", "/openapi.json");
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toBe("application/json");
  expect(await response.json()).toEqual(DOCUMENT);
  expect(DOCUMENT.openapi).toBe("3.1.0");
});

test("no two operations have one id, and every tag that one has is described", () => {
  const ids = OPERATIONS.map(({ operation }) => operation.id);
  expect(new Set(ids).size).toBe(ids.length);
  const tags = new Set(SURFACES.flatMap((surface) => Object.keys(surface.tags)));
  const used = new Set(OPERATIONS.map(({ operation }) => operation.tag));
  expect([...used].toSorted()).toEqual([...tags].toSorted());
});

test("every reference leads somewhere", () => {
  const known = new Set([...objectsIn(DOCUMENT)].map(([path]) => path));
  const wrong = [...objectsIn(DOCUMENT)].filter(
    ([, { $ref }]) => $ref !== undefined && !known.has(String($ref)),
  );
  expect(wrong).toEqual([]);
});

test("every parameter and every field of a request says what it is for", () => {
  const silent: string[] = [];
  for (const { operation, surface } of OPERATIONS) {
    for (const name of Object.keys(operation.query?.entries ?? {})) {
      if (!surface.fields[name]) silent.push(`${operation.id} ?${name}`);
    }
  }
  for (const [path, { requestBody }] of objectsIn(DOCUMENT)) {
    for (const [, { schema }] of objectsIn(requestBody ?? null)) {
      if (!isJsonObject(schema)) continue;
      for (const [name, field] of Object.entries(fieldsOf(schema))) {
        const said = isJsonObject(field) && (field.description ?? field.$ref ?? field.format);
        if (!said) silent.push(`${path} ${name}`);
      }
    }
  }
  expect(silent).toEqual([]);
});

function fieldsOf(schema: JsonObject): JsonObject {
  const name = typeof schema.$ref === "string" ? schema.$ref.split("/").at(-1) : undefined;
  const place = [...objectsIn(DOCUMENT)].find(([path]) => path === `#/components/schemas/${name}`);
  const { properties } = place?.[1] ?? schema;
  return isJsonObject(properties) ? properties : {};
}

test("every status of a problem is one that problems have", () => {
  for (const { name, operation, surface } of OPERATIONS) {
    const route = surface.routes.find((one) => operationName(one) === name);
    const statuses = route ? Object.keys(problemsOf(route, operation, surface)) : [];
    expect([name, statuses.filter((status) => !Object.hasOwn(TITLES, status))]).toEqual([name, []]);
  }
});

describe("examples", () => {
  const bodies = OPERATIONS.flatMap(({ name, operation }) =>
    (operation.body?.content ?? []).map((content) => ({ name, ...content })),
  );

  test("every JSON body has one that its schema takes", () => {
    const json = bodies.filter(({ type }) => type === "application/json");
    expect(json.length).toBeGreaterThan(20);
    for (const { name, schema, example } of json) {
      const taken = typeof schema !== "string" && v.safeParse(schema, example).success;
      expect([name, taken]).toEqual([name, true]);
    }
  });

  const exampleOf = (name: string): Json => {
    const found = bodies.find((one) => one.name === name && one.type === "application/json");
    return found?.example ?? null;
  };

  test("a session and a turn of CC API", async () => {
    const created = await post("/api/sessions", exampleOf("POST /api/sessions"));
    expect(created.status).toBe(201);
    const { id } = await created.json<{ id: string }>();
    standin.script(text("1 2 3 4 5"));
    const body = exampleOf("POST /api/sessions/:id/turns");
    const turn = await post(`/api/sessions/${id}/turns`, body);
    expect(await turn.json()).toMatchObject({ output_text: "1 2 3 4 5" });
  });

  test("a session, a chat and a job of claude-code-api", async () => {
    const created = await post("/api/v1/sessions", exampleOf("POST /api/v1/sessions"));
    expect(created.status).toBe(201);
    const session = created.headers.get("location");
    standin.script(text("1 2 3 4 5"));
    const chat = await post(`${session}/chat`, exampleOf("POST /api/v1/sessions/:name/chat"));
    expect(await chat.json()).toMatchObject({ data: { content: "1 2 3 4 5" } });
    standin.script(text("1 2 3 4 5"));
    const job = await post(`${session}/jobs`, exampleOf("POST /api/v1/sessions/:name/jobs"));
    expect(job.status).toBe(202);
    await post(`${session}/chat`, { message: "Hello" });
  });

  test("a chat of the Claude CLI server", async () => {
    standin.script(text("1 2 3 4 5"));
    const chat = await post("/v1/chat", exampleOf("POST /v1/chat"));
    expect(await chat.json()).toMatchObject({ result: "1 2 3 4 5" });
  });

  test("keys and templates", async () => {
    expect((await post("/api/keys", exampleOf("POST /api/keys"))).status).toBe(201);
    const templates = await post("/api/templates/import", exampleOf("POST /api/templates/import"));
    expect(await templates.json()).toMatchObject({ data: [{ name: "haiku" }] });
    expect((await post("/api/templates/import", {})).status).toBe(200);
  });
});

/** That the suites' answers fit is only worth something if what does not fit is noticed. */
describe("an answer that is not as described is noticed", () => {
  const answered = async (path: string, response: Response): Promise<string> => {
    const looked = await documented("GET", path, response);
    await looked.text();
    return takeComplaints().join("\n");
  };
  const session = "/api/sessions/sess_1";
  const pending = { id: "call_3_0", type: "tool_call", name: "look", arguments: "{}" };
  const call = { ...pending, turn_id: "turn_2", requested_at: "2026-11-20T05:14:10.570Z" };
  const problem = { type: "about:blank", title: "Conflict", status: 409, detail: "No." };
  const told = { ...problem, instance: "/", request_id: "req_1" };

  test("unless there is nothing to be noticed", async () => {
    const response = Response.json({ data: [call] });
    expect(await answered(`${session}/pending`, response)).toBe("");
  });

  test.each<[string, string, Response]>([
    ["a status", "is not described", new Response(null, { status: 418 })],
    [
      "a type",
      "undescribed type text/html",
      new Response("<p>", { headers: { "content-type": "text/html" } }),
    ],
    ["a header", "undescribed ETag", Response.json({ data: [] }, { headers: { etag: "x" } })],
    [
      "a member that is missing",
      "turn_id",
      Response.json({ data: [{ ...pending, requested_at: call.requested_at }] }),
    ],
    ["a member too many", "#/data/0/more", Response.json({ data: [{ ...call, more: 1 }] })],
    ["a value", "#/data/0/type", Response.json({ data: [{ ...call, type: "other" }] })],
    [
      "a time",
      "#/data/0/requested_at",
      Response.json({ data: [{ ...call, requested_at: "now" }] }),
    ],
  ])("%s", async (_, complaint, response) => {
    expect(await answered(`${session}/pending`, response)).toContain(complaint);
  });

  test("the code of a problem", async () => {
    const body = { ...told, error: { code: "name_taken", message: "No." } };
    const headers = { "content-type": "application/problem+json" };
    const response = Response.json(body, { status: 409, headers });
    expect(await answered(`${session}/events`, response)).toContain("code name_taken");
  });

  test("a frame of a stream, and its data", async () => {
    const headers = { "content-type": "text/event-stream" };
    const frames = 'event: nothing\ndata: {}\n\nevent: error\ndata: {"type":"error"}\n\n';
    const complaints = await answered(
      `${session}/events/stream`,
      new Response(frames, { headers }),
    );
    expect(complaints).toContain("undescribed frame nothing");
    expect(complaints).toContain("in the frame error");
  });

  test("a line of a file", async () => {
    const headers = { "content-type": "application/jsonl" };
    const response = new Response('{"type":"end","rows":"two","media":0}\n', { headers });
    expect(await answered(`${session}/export`, response)).toContain("in the line");
  });
});

describe("ENABLE_DOCS", () => {
  const PATHS = [
    "/openapi.json",
    "/docs",
    "/redoc",
    "/docs/try.js",
    "/docs/swagger-ui/swagger-ui.css",
  ];

  test.each(PATHS)("%s is there, and not with false", async (path) => {
    expect((await get(path)).status).toBe(200);
    const response = await serverWith({ ENABLE_DOCS: "false" })("GET", path);
    expect(response.status).toBe(404);
    expect(await response.json()).toMatchObject({ error: { code: "not_found" } });
  });
});

describe("the pages", () => {
  test.each(["/docs", "/redoc"])(
    "%s runs and loads nothing but what this server has",
    async (path) => {
      const response = await get(path);
      expect(response.headers.get("content-type")).toBe("text/html; charset=utf-8");
      const policy = response.headers.get("content-security-policy") ?? "";
      expect(policy).toContain("default-src 'none'; script-src 'self'; style-src 'self';");
      expect(policy).not.toMatch(/unsafe|https?:|\*/);
      expect(response.headers.get("x-frame-options")).toBe("DENY");
      const html = await response.text();
      const addresses = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, address]) => address);
      expect(addresses.length).toBeGreaterThan(4);
      for (const address of addresses) {
        const found = await get(address ?? "");
        await found.body?.cancel();
        expect([address, found.status]).toEqual([address, 200]);
      }
      expect(html).not.toMatch(/<script[^>]*>[^<]|<style| on[a-z]+=| style=/);
    },
  );

  test("a copy that a browser has is not sent again", async () => {
    const first = await get("/docs/try.js");
    const etag = first.headers.get("etag") ?? "";
    expect(first.headers.get("cache-control")).toBe("public, max-age=0, must-revalidate");
    const again = await get("/docs/try.js", { "if-none-match": etag });
    expect([again.status, await again.text()]).toEqual([304, ""]);
  });

  test.each(["/docs/", "/docs/nothing.js", "/docs/swagger-ui/", "/assets/docs/try.js", "/try.js"])(
    "%s is not there",
    async (path) => {
      const response = await get(path);
      expect(response.status).toBe(404);
      expect(response.headers.get("content-type")).toBe("application/problem+json");
    },
  );
});
