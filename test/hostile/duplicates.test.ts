/**
 * Every route that changes something, asked twice with one `Idempotency-Key`: at once, one after the
 * other, and with a crash of the session's object in between. One effect, and one answer.
 */
import { runInDurableObject } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import type { RowType } from "../../src/shared/rows.ts";
import worker from "../../src/worker.ts";
import { list, textOf } from "../api/cc/files-support.ts";
import { allFrames, objectOf, rowsOf, send, withStandin } from "../api/cc/server.ts";
import { CASES, type Ready } from "./duplicates-cases.ts";
import { CHAT_CASES } from "./duplicates-cases-chat.ts";
import { CODE_CASES } from "./duplicates-cases-code.ts";
import { FILE_CASES } from "./duplicates-cases-files.ts";

withStandin();

const ALL = { ...CASES, ...FILE_CASES, ...CHAT_CASES, ...CODE_CASES };

const routes = worker.routes
  .filter(({ method }) => !["GET", "ALL"].includes(method))
  .map(({ method, path }) => `${method} ${path}`);

test("every route that changes something has a case here", () => {
  expect(Object.keys(ALL).toSorted()).toEqual(routes.toSorted());
});

/** Members that say when or where an answer was made, and not what it says. */
const VARIES = ["request_id", "ticket", "url", "expires_at", "meta"];

/** An answer as its reader has it: without pieces of a text, which come as they may. */
async function told(response: Response, varies: readonly string[] = []) {
  const { status, headers } = response;
  const location = headers.get("location");
  if (headers.get("content-type")?.startsWith("text/event-stream")) {
    const frames = await allFrames(response);
    const whole = frames.filter(
      ({ event, data }) => !(event || String(data.type)).endsWith("delta"),
    );
    return { status, location, frames: whole };
  }
  if (status === 204) return { status, location };
  const body = await response.json<Record<string, unknown>>();
  for (const name of VARIES) if (name in body) body[name] = typeof body[name];
  const data = Object(body.data);
  for (const name of varies) if (name in data) data[name] = "";
  return { status, location, body };
}

/** What is in the files, by their paths. */
async function filesOf(session: string): Promise<Record<string, string | null>> {
  const { data } = await list(session, "?recursive=true");
  const files = data.filter(({ type }) => type === "file");
  const entries = files.map(async ({ path }) => [path, await textOf(session, path)] as const);
  return Object.fromEntries(await Promise.all(entries));
}

type Told = Awaited<ReturnType<typeof told>>;

const cases = Object.entries(ALL).flatMap(([route, list]) =>
  list.map((one) => ({ ...one, route, title: `${route}: ${one.name}` })),
);

describe.each(cases)("$title", ({ route, ready, input = "", body, headers, ...expected }) => {
  const [method = "", pattern = ""] = route.split(" ");

  /** Sends the request as often as one calls what this gives. */
  function request(place: Ready): () => Promise<Response> {
    const { session, key: managed = "", job = "", template = "" } = place;
    const path = pattern
      .replace("/api/sessions/:id", session)
      .replace("/api/v1/sessions/:name", session.replace("/api/", "/api/v1/"))
      .replace(":key", managed)
      .replace(":job", job)
      .replace(":template", template)
      .replace(/:input|\*/, input);
    const key = { "idempotency-key": crypto.randomUUID(), ...headers };
    return () => {
      const made = typeof body === "function" ? body(place) : body;
      if (!(made instanceof FormData)) return send(method, path, made, key);
      const form = new Response(made);
      return send(method, path, form.body, { ...key, ...Object.fromEntries(form.headers) });
    };
  }

  /** One effect, one answer, and the second one says what it is. */
  async function check(session: string, first: Response, second: Response): Promise<void> {
    const { statuses, replayed, wrote, files, varies } = expected;
    const says = [first, second].map((one) => one.headers.has("idempotency-replayed"));
    expect(says.toSorted(), "one of them is a replay").toEqual([false, replayed]);
    const [one, two]: Told[] = await Promise.all([first, second].map((all) => told(all, varies)));
    if (statuses) expect([one?.status, two?.status].toSorted()).toEqual(statuses.toSorted());
    else expect(two).toEqual(one);
    for (const [type, count] of Object.entries(wrote)) {
      // The keys of `wrote` are types of rows.
      expect(await rowsOf(session, type as RowType), type).toHaveLength(count);
    }
    if (files) expect(await filesOf(session)).toEqual(files);
  }

  test("twice at once", async () => {
    const place = await ready();
    const { session, finish } = place;
    const ask = request(place);
    const [first, second] = await Promise.all([ask(), ask()]);
    if (!first || !second) throw new Error("two answers");
    await check(session, first, second);
    await finish?.(false);
  });

  test("one after the other", async () => {
    const place = await ready();
    const { session, finish } = place;
    const ask = request(place);
    const first = await ask();
    const kept = first.clone();
    await told(first);
    await check(session, kept, await ask());
    await finish?.(false);
  });

  test("with a crash in between", async () => {
    const place = await ready();
    const { session, finish } = place;
    const ask = request(place);
    const first = await ask();
    const kept = first.clone();
    await told(first);
    const object = await objectOf(session);
    await runInDurableObject(object, (_, state) => state.abort("crash")).catch(() => {});
    await check(session, kept, await ask());
    await finish?.(true);
  });
});
