/** `GET /api/sessions` with filters, names, and the limit on sessions, as clients see them. */
import { expect, test } from "vitest";
import type { JsonObject } from "../../../src/shared/content.ts";
import { text } from "../../../src/standin/replies.ts";
import { get, idOf, newSession, post, send, serverWith, standin, withStandin } from "./server.ts";

withStandin();

interface Page {
  data: (JsonObject & { id: string })[];
  has_more: boolean;
  next_cursor: string | null;
}

/** Keys of accounts that no other test uses. */
let keys = 0;
function asAccount() {
  keys += 1;
  const key = `list-key-${keys}-0123456789abcdef`;
  const request = serverWith({ API_KEYS: `list-${keys}:${key}`, ALLOW_ANONYMOUS: "false" });
  const call = (method: string, path: string, body?: unknown, headers = {}) =>
    request(method, path, body, { authorization: `Bearer ${key}`, ...headers });
  return {
    call,
    async make(body: unknown = {}): Promise<JsonObject & { id: string }> {
      const response = await call("POST", "/api/sessions", body);
      expect(response.status).toBe(201);
      return response.json();
    },
    async list(query: string): Promise<Page> {
      const response = await call("GET", `/api/sessions?${query}`);
      expect(response.status).toBe(200);
      return response.json();
    },
  };
}

const code = async (response: Response | Promise<Response>) => {
  const { status, error } = await (await response).json<{
    status: number;
    error: { code: string };
  }>();
  return [status, error.code];
};

test("sessions are found by what they are, over pages that keep the filter", async () => {
  const { make, list } = asAccount();
  const first = await make({ title: "Trip to Rome", model: "opus" });
  const made: string[] = [];
  for (let n = 0; n < 5; n++) made.unshift((await make({ title: `Notes ${n}` })).id);
  const ids = async (query: string) => (await list(query)).data.map(({ id }) => id);
  expect(await ids("q=trip%20TO")).toEqual([first.id]);
  expect(await ids("q=nothing")).toEqual([]);
  expect(await ids("model=anthropic/claude-opus-4.8")).toEqual(
    first.model === "claude-opus-4-8" ? [first.id] : [],
  );
  expect(await ids("model=opus")).toEqual([first.id]);
  expect(await ids("status=running")).toEqual([]);
  expect(await ids("status=idle&q=rome")).toEqual([first.id]);
  const all: string[] = [];
  let cursor = "";
  for (;;) {
    const page = await list(`q=notes&limit=2${cursor}`);
    all.push(...page.data.map(({ id }) => id));
    expect(page.has_more).toBe(page.next_cursor !== null);
    if (page.next_cursor === null) break;
    cursor = `&cursor=${page.next_cursor}`;
  }
  expect(all).toEqual(made);
  const at = String(first.created_at);
  const later = encodeURIComponent(at.replace("Z", "+00:00"));
  expect(await ids(`created_before=${at}`)).toEqual([]);
  expect((await ids(`created_after=${later}`)).includes(first.id)).toBe(false);
  expect(await ids(`created_after=2020-01-01&created_before=2999-12-31&q=rome`)).toEqual([
    first.id,
  ]);
});

test("the list shows the beginning of the first message, and it is found by it", async () => {
  const path = await newSession({ title: "Untold" });
  standin.script(text("Hi."), text("Yes."));
  await post(`${path}/turns`, { input: "Tell me of axolotls, please" });
  await post(`${path}/turns`, { input: "And of newts" });
  expect(await (await get(path)).json()).toMatchObject({
    first_message: "Tell me of axolotls, please",
    name: null,
  });
  for (;;) {
    const { data } = await (await get("/api/sessions?q=AXOLOTLS")).json<Page>();
    // The report of a turn that runs may still be on its way.
    if (data.length === 0) continue;
    expect(data).toMatchObject([{ id: idOf(path), first_message: "Tell me of axolotls, please" }]);
    break;
  }
  expect((await (await get("/api/sessions?q=newts")).json<Page>()).data).toEqual([]);
});

test.each([
  ["status=busy", "query -> status", "literal_error"],
  ["model=a%20b", "query -> model", "string_pattern_mismatch"],
  ["q=LONG", "query -> q", "string_too_long"],
  ["q=", "query -> q", "string_too_short"],
  ["created_after=yesterday", "query -> created_after", "value_error"],
  ["created_before=2026-02-30", "query -> created_before", "value_error"],
  ["created_before=2026-11-20T25:00:00Z", "query -> created_before", "value_error"],
  ["created_after=2026-11-20T10:00:00", "query -> created_after", "value_error"],
  ["name=", "query -> name", "value_error"],
  ["name=a%00b", "query -> name", "value_error"],
  ["limit=0", "query -> limit", "greater_than_equal"],
  ["q=a&limit=101", "query -> limit", "less_than_equal"],
  ["q=a&cursor=abc", "query -> cursor", "invalid_cursor"],
  ["cursor=01ARZ3NDEKTSV4RRFFQ69G5FAU!", "query -> cursor", "invalid_cursor"],
])("a list with %s says which field breaks which rule", async (query, field, type) => {
  // A text of 1,001 characters.
  const response = await get(`/api/sessions?${query.replace("LONG", "x".repeat(1_001))}`);
  expect(response.status).toBe(422);
  const { errors } = await response.json<{
    errors: { field: string; type: string; message: string }[];
  }>();
  expect(errors).toEqual([{ field, type, message: expect.stringMatching(/\w{3}/) }]);
});

test("a name is given, found, changed, taken away and free again", async () => {
  const { call, make, list } = asAccount();
  const names = async (name: string) =>
    (await list(`name=${encodeURIComponent(name)}`)).data.map(({ id }) => id);
  const one = await make({ name: "Café ☕" });
  expect(one.name).toBe("Café ☕");
  // What looks alike is one name: here with an accent of its own.
  const alike = "Cafe\u0301 ☕";
  expect(await names(alike)).toEqual([one.id]);
  expect(await code(call("POST", "/api/sessions", { name: alike }))).toEqual([409, "name_taken"]);
  expect(await code(call("POST", "/api/sessions", { name: "Café ☕" }))).toEqual([
    409,
    "name_taken",
  ]);
  const two = await make();
  expect(two.name).toBeNull();
  const patch = (id: string, body: unknown, headers = {}) =>
    call("PATCH", `/api/sessions/${id}`, body, headers);
  expect(await code(patch(two.id, { name: "Café ☕", title: "x" }))).toEqual([409, "name_taken"]);
  expect(await (await call("GET", `/api/sessions/${two.id}`)).json()).toMatchObject({
    name: null,
    title: null,
  });
  expect(await (await patch(one.id, { name: "other" })).json()).toMatchObject({ name: "other" });
  expect(await (await patch(two.id, { name: "Café ☕" })).json()).toMatchObject({
    name: "Café ☕",
  });
  expect(await names("Café ☕")).toEqual([two.id]);
  expect(await (await patch(two.id, { name: null })).json()).toMatchObject({ name: null });
  expect(await names("Café ☕")).toEqual([]);
  expect((await call("DELETE", `/api/sessions/${one.id}`)).status).toBe(200);
  expect(await names("other")).toEqual([]);
  await make({ name: "other" });
  const others = asAccount();
  await others.make({ name: "other" });
  expect((await list("")).data.map(({ name }) => name)).toEqual(["other", null]);
});

test.each(["", " a", "a ", "a\nb", "\u0000", "x".repeat(129), 7, ["a"]])(
  "%j is no name",
  async (name) => {
    for (const method of ["POST", "PATCH"]) {
      const path = method === "POST" ? "/api/sessions" : await newSession();
      const response = await send(method, path, { name });
      expect(response.status).toBe(422);
      expect(await response.json()).toMatchObject({ errors: [{ field: "body -> name" }] });
    }
  },
);

test("a creation with a name and a key is answered the same again, and so is a refused one", async () => {
  const { call } = asAccount();
  const create = (key: string, name: string) =>
    call("POST", "/api/sessions", { name }, { "idempotency-key": key });
  const first = await create("k1", "x");
  const again = await create("k1", "x");
  expect([first.status, again.status]).toEqual([201, 201]);
  expect(again.headers.get("idempotency-replayed")).toBe("true");
  const { id } = await first.json<{ id: string }>();
  expect(await again.json()).toMatchObject({ id, name: "x" });
  expect(await code(create("k2", "x"))).toEqual([409, "name_taken"]);
  expect(await code(create("k2", "x"))).toEqual([409, "name_taken"]);
  expect(await code(create("k2", "y"))).toEqual([409, "idempotency_key_conflict"]);
  await call("DELETE", `/api/sessions/${id}`);
  expect((await create("k2", "x")).status).toBe(201);
  expect(await code(create("k1", "x"))).toEqual([409, "session_deleted"]);
});

test("a foreign or unknown session is not named", async () => {
  const { call } = asAccount();
  const path = await newSession();
  expect((await call("PATCH", path, { name: "mine" })).status).toBe(404);
  expect((await call("PATCH", `${path.slice(0, -1)}0`, { name: "mine" })).status).toBe(404);
  expect(await (await get(path)).json()).toMatchObject({ name: null });
});
