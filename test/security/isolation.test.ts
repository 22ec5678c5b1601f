/** What is another account's: it looks to every route like what never was, and it stays as it is. */
import { ulid } from "ulid";
import { beforeAll, expect, test } from "vitest";
import type { Route } from "../../src/http/routes.ts";
import { text } from "../../src/standin/replies.ts";
import { newAccount } from "../api/cc/keys-support.ts";
import { type Headers, standin, withStandin } from "../api/cc/server.ts";
import { refusalOf } from "./forms.ts";
import { HALF_OPEN, KEYED, nameOf, pathOf } from "./surface.ts";
import { type Tables, tablesOfAccount, tablesOfSession } from "./tables.ts";
import {
  ann,
  ask,
  ben,
  comparable,
  DISGUISES,
  FORMS,
  METHODS,
  OWNER,
  server,
  stored,
  useAccounts,
} from "./two-accounts.ts";

withStandin();
useAccounts();

let before: Tables[];
beforeAll(async () => {
  before = await stored();
});

const NEVER = {
  id: `sess_${ulid()}`,
  key: `key_${ulid()}`,
  template: "never",
  name: "never",
};

/** What stands in paths and names something of one account. */
type Own = keyof typeof NEVER;

/** The part of a path that another account's key must not be able to tell from nothing. */
const FOREIGN = KEYED.flatMap((route): (readonly [Route, Own])[] => {
  if (route.path.includes(":id")) return [[route, "id"]];
  if (route.path.includes(":name")) return [[route, "name"]];
  // Of the same name each account can have a template of its own.
  if (route.path.includes(":template")) return route.method === "PUT" ? [] : [[route, "template"]];
  return route.path.includes(":key") ? [[route, "key"]] : [];
});

test("what another account has looks to every route like what never was, and stays as it is", async () => {
  const compare = async (route: Route, name: Own, theirs: string, nobodys: string) => {
    for (const [form, header] of FORMS) {
      for (const disguise of DISGUISES) {
        for (const method of METHODS(route)) {
          const headers = { ...disguise, ...header(ben.key.text) };
          const at = (id: string) => pathOf(route, { ...ann.ids, [name]: id });
          const there = await ask(route, method, at(theirs), headers);
          const nowhere = await ask(route, method, at(nobodys), headers);
          const what = [nameOf(route), method, form];
          expect([...what, there.status]).toEqual([...what, 404]);
          expect(comparable(there, theirs)).toEqual(comparable(nowhere, nobodys));
        }
      }
    }
  };
  for (const [route, name] of FOREIGN) {
    await compare(route, name, ann.ids[name], NEVER[name]);
    // Where a name leads to a session, its id does as well.
    if (name === "name") await compare(route, name, ann.codeId, NEVER.id);
  }
  expect(await stored()).toEqual(before);
  // The objects to which Ben's key leads with these ids.
  for (const id of [ann.ids.id, ann.codeId, NEVER.id]) {
    expect(await tablesOfSession(ben.account, id)).toEqual({});
  }
}, 60_000);

test("what a body or a query names of another account is what never was, and stays as it is", async () => {
  const said = async (path: string, body: object, id: string) => {
    const response = await server("POST", path, body, ben.key.headers);
    const text = await response.text();
    expect(text).not.toContain(ann.mark);
    const code = refusalOf(path, response, text);
    const { status, headers } = response;
    return comparable({ status, code, headers, body: text }, id);
  };
  const chat = (session_id: string) => ({ prompt: "Hi", session_id });
  const named: [path: string, body: (id: string) => object, theirs: string, nobodys: string][] = [
    ["/v1/chat", chat, ann.ids.id, NEVER.id],
    ["/v1/chat", chat, ann.codeId, NEVER.id],
    ["/v1/chat/stream", chat, ann.ids.id, NEVER.id],
    ["/api/sessions", (template) => ({ template }), ann.ids.template, NEVER.template],
    ["/api/v1/sessions", (template) => ({ name: "x", template }), ann.ids.template, NEVER.template],
  ];
  for (const [path, body, theirs, nobodys] of named) {
    const there = await said(path, body(theirs), theirs);
    expect([path, there]).toEqual([path, await said(path, body(nobodys), nobodys)]);
  }
  for (const label of [ann.account, ann.key.text, ann.key.id]) {
    for (const list of ["sessions", "audit", "usage"]) {
      const path = `/api/v1/${list}?user_id=${encodeURIComponent(label)}`;
      const response = await server("GET", path, undefined, ben.key.headers);
      const text = await response.text();
      expect([path, response.status]).toEqual([path, 200]);
      for (const one of [ann.mark, ann.ids.name, ann.codeId]) expect(text).not.toContain(one);
    }
  }
  expect(await stored()).toEqual(before);
  for (const id of [ann.ids.id, ann.codeId]) {
    expect(await tablesOfSession(ben.account, id)).toEqual({});
  }
});

test("an account's name in an address or body opens nothing of it, whether it exists or not", async () => {
  const owner = { "x-api-key": OWNER };
  const nobody = newAccount();
  for (const route of KEYED.filter(({ path }) => path.startsWith("/api/keys"))) {
    const answers = [];
    for (const account of [ann.account, nobody]) {
      const path = `${pathOf(route, ann.ids)}?account=${account}`;
      const answer = await ask(route, route.method, path, ben.key.headers);
      const expected = nameOf(route) === "POST /api/keys" ? [201] : [403];
      expect([nameOf(route), answer.status]).toEqual([nameOf(route), ...expected]);
      if (answer.status === 201)
        expect(JSON.parse(answer.body)).toMatchObject({ account: ben.account });
      else answers.push(comparable(answer, account));
    }
    expect(answers[0]).toEqual(answers[1]);
  }
  for (const account of [ann.account, nobody, "default"]) {
    const made = await server("POST", "/api/keys", { name: "x", account }, ben.key.headers);
    expect([account, made.status]).toEqual([account, 403]);
  }
  expect(await tablesOfAccount(nobody)).toEqual({});
  expect(await stored()).toEqual(before);
  const mine = await server("GET", `/api/keys?account=${ann.account}`, undefined, owner);
  expect(await mine.text()).toContain(ann.mark);
});

test("ids of another account's things name nothing in a session of one's own", async () => {
  const { headers } = ben.key;
  const at = async (method: string, path: string, body?: unknown, more: Headers = {}) => {
    const response = await server(method, path, body, { ...headers, ...more });
    const answer = await response.text();
    expect(answer).not.toContain(ann.mark);
    return response.status;
  };
  const mine = ben.session;
  const empty = `/api/sessions/${JSON.parse(await (await server("POST", "/api/sessions", {}, headers)).text()).id}`;
  expect(ann.ids.sha256).not.toBe(ben.ids.sha256);
  expect(await at("GET", `${mine}/media/${ann.ids.sha256}`)).toBe(404);
  expect(await at("GET", `${empty}/turns/${ann.ids.turn}`)).toBe(404);
  expect(await at("DELETE", `${empty}/queue/${ann.ids.input}`)).toBe(404);
  const results = { results: [{ tool_call_id: ann.call, content: "Stolen." }] };
  expect(await at("POST", `${empty}/tool-results`, results)).toBe(422);
  const confirmations = { confirmations: [{ tool_call_id: ann.call, decision: "allow" }] };
  expect(await at("POST", `${empty}/confirmations`, confirmations)).toBe(422);
  expect(ann.ids.job).not.toBe(ben.ids.job);
  for (const session of [ben.code, empty.replace("/api/", "/api/v1/")]) {
    expect(await at("GET", `${session}/jobs/${ann.ids.job}`)).toBe(404);
    expect(await at("POST", `${session}/jobs/${ann.ids.job}/cancel`)).toBe(404);
    expect(await at("POST", `${session}/jobs/${ann.ids.job}/redeliver`)).toBe(404);
  }
  expect(await at("GET", `${empty}/files/a.txt`)).toBe(404);
  for (const path of ["../", "%2e%2e/", `../${ann.ids.id}/`, "/workspace/../"]) {
    expect([path, await at("GET", `${mine}/files/${path}a.txt`)]).not.toEqual([path, 200]);
    expect([path, await at("GET", `${ben.code}/files/${path}a.txt`)]).not.toEqual([path, 200]);
    const outside = path.replaceAll("%2e", ".");
    expect([path, await at("GET", `${ben.code}/files?path=${outside}`)]).toEqual([path, 400]);
    const repo = { working_dir: outside };
    expect([path, await at("POST", `${ben.code}/repo`, repo)]).toEqual([path, 400]);
  }
  const stolen = [
    {
      type: "image",
      source: { type: "url", url: `http://localhost${ann.session}/media/${ann.ids.sha256}` },
    },
  ];
  expect(await at("POST", `${mine}/turns`, { input: stolen })).toBe(422);
  expect(await stored()).toEqual(before);
});

test("cursors, names and idempotency keys of one account mean nothing in another", async () => {
  const mine = { authorization: `Bearer ${ben.key.text}` };
  for (const route of KEYED.filter(({ method, path }) => method === "GET" && !path.includes(":"))) {
    for (const cursor of [ann.ids.id, ann.ids.key, ann.ids.id.replace("sess_", ""), "0", "1"]) {
      const answer = await ask(route, "GET", `${route.path}?cursor=${cursor}`, mine);
      expect(answer.status).toBeLessThan(500);
      expect(answer.body).not.toContain(ann.mark);
      expect(answer.body).not.toContain(`"${ann.ids.id}"`);
    }
  }
  for (const name of [`${ann.mark}-name`, ann.ids.name]) {
    const path = `/api/sessions?name=${name}`;
    const named = await server("GET", path, undefined, mine);
    expect(await named.json()).toMatchObject({ data: [], has_more: false });
    const own = await server("GET", path, undefined, ann.key.headers);
    expect(await own.json()).toMatchObject({ data: [{}] });
  }
  const key = { "idempotency-key": "the-same" };
  for (const path of ["/api/sessions", "/api/v1/sessions"]) {
    const body = { name: `${ann.mark} ${path}` };
    const first = await server("POST", path, body, { ...ann.key.headers, ...key });
    const second = await server("POST", path, body, { ...mine, ...key });
    expect([first.status, second.status]).toEqual([201, 201]);
    expect(second.headers.get("idempotency-replayed")).toBeNull();
    expect(second.headers.get("location")).not.toBe(first.headers.get("location"));
  }
});

test("a name and an idempotency key that two accounts have lead each to its own", async () => {
  const name = `n-${crypto.randomUUID()}`;
  for (const { key } of [ann, ben]) {
    expect((await server("POST", "/api/v1/sessions", { name }, key.headers)).status).toBe(201);
  }
  for (const { key, mark } of [ann, ben]) {
    standin.script(text(`For ${mark}.`), text(`For ${mark}.`));
    for (const [path, body] of [
      [`/api/v1/sessions/${name}/chat`, { message: "Hi" }],
      ["/v1/chat", { prompt: "Hi" }],
    ] as const) {
      const headers = { ...key.headers, "idempotency-key": "the-same" };
      const answer = await server("POST", path, body, headers);
      expect([path, answer.status]).toEqual([path, 200]);
      expect(answer.headers.get("idempotency-replayed")).toBeNull();
      expect(await answer.text()).toContain(`For ${mark}.`);
    }
  }
});

test("an account's own templates are for its keys alone, where nobody needs one", async () => {
  for (const route of HALF_OPEN) {
    const one = route.path.includes(":template");
    for (const headers of [{}, ben.key.headers]) {
      const answer = await ask(route, "GET", pathOf(route, ann.ids), headers);
      expect([nameOf(route), answer.status]).toEqual([nameOf(route), one ? 404 : 200]);
      expect(answer.body).not.toContain(ann.mark);
      if (!one) expect(answer.body).not.toContain(ann.ids.template);
    }
    const own = await ask(route, "GET", pathOf(route, ann.ids), ann.key.headers);
    expect([nameOf(route), own.status]).toEqual([nameOf(route), 200]);
    expect(own.body).toContain(ann.mark);
  }
});
