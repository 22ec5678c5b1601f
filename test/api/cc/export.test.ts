/** A session's log as JSON Lines: what is on disk, whoever dies, leaves or deletes meanwhile. */
import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, expect, test, vi } from "vitest";
import { accountId } from "../../../src/http/auth.ts";
import { sha256Hex } from "../../../src/http/canonical.ts";
import { onFaultPoint } from "../../../src/session/fault-points.ts";
import { FORMAT_VERSION } from "../../../src/session/schema.ts";
import { Store } from "../../../src/session/store.ts";
import { DEFAULT_ACCOUNT } from "../../../src/shared/config-readers.ts";
import type { Row } from "../../../src/shared/rows.ts";
import { httpError, text, thinking, toolUse } from "../../../src/standin/replies.ts";
import worker from "../../../src/worker.ts";
import { home } from "../../support/home.ts";
import { foldAll } from "../../support/laws.ts";
import { held, type TestSession, toolset, useSessions } from "../../support/sessions.ts";
import { get, imageBlock, pngBytes, post, send, serverWith } from "./server.ts";

const sessions = useSessions();
afterEach(() => onFaultPoint(null));

interface Header {
  type: "export";
  head: number;
}
type Piece = { type: "media"; sha256: string; n: number; data: string };
type Line = Header | Row | Piece | { type: "end" | "error" };

const create = async (): Promise<TestSession> =>
  sessions.create({ account: await accountId(DEFAULT_ACCOUNT) });

const pathOf = ({ id }: TestSession): string => `/api/sessions/sess_${id}`;

/** A client that reads when it is told to. */
class Client {
  text = "";
  bytes = 0;
  /** The response broke off. */
  broken = false;
  readonly #context: ExecutionContext;
  readonly #reader: ReadableStreamBYOBReader | undefined;
  readonly #decoder = new TextDecoder();

  private constructor(response: Response, context: ExecutionContext) {
    this.#context = context;
    this.#reader = response.body?.getReader({ mode: "byob" });
  }

  static async open(session: TestSession, query = ""): Promise<Client> {
    const context = createExecutionContext();
    const request = new Request(`http://localhost${pathOf(session)}/export${query}`);
    return new Client(await worker.fetch(request, env, context), context);
  }

  /** Reads what is there, at most so many bytes; false at the end. */
  async read(most = 65_536): Promise<boolean> {
    try {
      const chunk = await this.#reader?.read(new Uint8Array(most));
      this.bytes += chunk?.value?.byteLength ?? 0;
      this.text += this.#decoder.decode(chunk?.value, { stream: true });
      return !(chunk?.done ?? true);
    } catch {
      this.broken = true;
      return false;
    }
  }

  async readUntil(seen: (text: string) => boolean): Promise<this> {
    while (!seen(this.text) && (await this.read()));
    return this;
  }

  async readToEnd(): Promise<Line[]> {
    while (await this.read());
    return linesIn(this.text);
  }

  /** Goes away; resolves when the Worker has nothing left to do for it. */
  async leave(): Promise<void> {
    await this.#reader?.cancel();
    await waitOnExecutionContext(this.#context);
  }
}

function linesIn(all: string): Line[] {
  expect(all.endsWith("\n")).toBe(true);
  return all
    .slice(0, -1)
    .split("\n")
    .map((line) => JSON.parse(line) as Line);
}

const rowsIn = (lines: readonly Line[]): Row[] => lines.filter((line) => "seq" in line);
const mediaIn = (lines: readonly Line[]): Piece[] => lines.filter((line) => line.type === "media");

async function exported(session: TestSession, query = ""): Promise<Line[]> {
  return (await Client.open(session, query)).readToEnd();
}

/** The rows as SQLite has them, as text. */
const onDisk = (session: TestSession): Promise<string[]> =>
  session.inside(({ storage: { sql } }) => {
    const query = "SELECT seq, at, type, body FROM log ORDER BY seq";
    const part = "SELECT data FROM part WHERE seq = ? ORDER BY n";
    type Stored = { seq: number; at: number; type: string; body: string };
    return [...sql.exec<Stored>(query)].map(({ seq, at, type, body }) => {
      const parts = sql.exec<{ data: string }>(part, seq).toArray();
      const whole = body + parts.map(({ data }) => data).join("");
      return `{"seq":${seq},"at":${at},"type":${JSON.stringify(type)},"body":${whole}}`;
    });
  });

/** A session whose pages hold two turns each. */
async function longSession(turns = 8): Promise<TestSession> {
  const session = await create();
  // Too large for the model, so none is in the context of the next.
  sessions.script(...Array.from({ length: turns }, () => httpError(413)));
  for (let n = 0; n < turns; n++) await session.turn(`${n} long `.repeat(140_000));
  return session;
}

/** Counts the pages that are asked for; `at` may end the object at one of them. */
function pages(at: (page: number, object: DurableObjectState) => void = () => {}) {
  const seen = { count: 0 };
  onFaultPoint((object, point) => {
    if (point !== "page") return;
    seen.count += 1;
    at(seen.count, object);
  });
  return seen;
}

test("an export is a header, every row as it is on disk, and an end", async () => {
  const session = await create();
  sessions.script([thinking("hm"), text('"ä\u2028\n🙂"')], toolUse("look", {}), text("done"));
  await session.turn("one\ud83d\ude00");
  await session.turn("two", { tools: toolset("look"), key: { id: "turns k1", hash: "h" } });
  const [call = ""] = await session.pending();
  await session.outcome(await session.results({ [call]: "seen" }));
  const response = await get(`${pathOf(session)}/export`);
  expect(response.status).toBe(200);
  expect(Object.fromEntries(response.headers)).toMatchObject({
    "content-type": "application/jsonl; charset=utf-8",
    "content-disposition": `attachment; filename="sess_${session.id}.jsonl"`,
    "cache-control": "no-store",
  });
  const all = await response.text();
  const disk = await onDisk(session);
  const [header, ...rest] = all.split("\n");
  expect(JSON.parse(header ?? "")).toEqual({
    type: "export",
    v: 1,
    session: `sess_${session.id}`,
    head: disk.length,
    format: FORMAT_VERSION,
    exported_at: expect.stringMatching(/^\d{4}-.*Z$/),
    media: false,
  });
  const end = `{"type":"end","rows":${disk.length},"media":0}`;
  expect(rest).toEqual([...disk, end, ""]);
});

test("folding the exported rows gives the session's state", async () => {
  const session = await create();
  const { reply, gate } = held({ block: 0, delta: 1 }, [text("x", { deltas: ["a", "b"] })]);
  sessions.script(toolUse("look", {}), text("seen"), httpError(401), reply, text("queued"));
  await session.turn("one", { tools: toolset("look") });
  await session.outcome(await session.results({ call_3_0: "it" }));
  await session.turn("two");
  const stopped = await session.send("three");
  const queued = await session.send("four");
  await session.reader.until(() => session.reader.previewed === "a");
  const running = rowsIn(await exported(session));
  const stateOnDisk = () => session.inside(({ storage }) => Store.open(storage.sql)?.state);
  expect(foldAll(running)).toEqual(await stateOnDisk());
  expect(foldAll(running)).toMatchObject({ call: expect.anything(), queue: [expect.anything()] });
  await session.interrupt();
  await session.open(gate);
  await session.outcome(stopped);
  await session.outcome(queued);
  await session.switchModel("claude-sonnet-5");
  expect(foldAll(rowsIn(await exported(session)))).toEqual(await stateOnDisk());
});

const units = (length: number, piece: string): string =>
  piece.repeat(Math.ceil(length / piece.length)).slice(0, length);

test.each([
  ["two-byte letters", units(1_200_000, "ä")],
  ["surrogate pairs", units(1_300_000, "🙂")],
  ["surrogate pairs at odd places", `x${units(1_300_000, "🙂")}`],
  ["escapes", units(1_000_000, '"\\\n\u2028')],
])("a body of %s that is stored in parts is one line", async (_, body) => {
  const session = await create();
  sessions.script(httpError(401));
  await session.turn(body);
  const parts = await session.inside(
    ({ storage }) =>
      storage.sql.exec<{ n: number }>("SELECT count(*) AS n FROM part WHERE seq = 2").one().n,
  );
  expect(parts).toBeGreaterThan(1);
  const lines = await exported(session);
  expect(lines.slice(1, -1).map((line) => JSON.stringify(line))).toEqual(await onDisk(session));
});

test("a session of several pages is exported whole, each page once", async () => {
  const session = await longSession();
  const asked = pages();
  const lines = await exported(session);
  expect(asked.count).toBeGreaterThan(3);
  expect(lines.slice(1, -1).map((line) => JSON.stringify(line))).toEqual(await onDisk(session));
});

test("pages are read no faster than the client reads", async () => {
  const session = await longSession();
  let client: Client | null = null;
  const readAt: number[] = [];
  pages(() => readAt.push(client?.bytes ?? 0));
  client = await Client.open(session);
  // Between its reads the client does something else that takes a while.
  while (await client.read()) await session.stub.describe();
  const pageBytes = client.bytes / readAt.length;
  expect(readAt.length).toBeGreaterThan(3);
  for (const [page, bytes] of readAt.entries()) {
    expect(bytes).toBeGreaterThan((page - 0.5) * pageBytes);
  }
});

const WITH_MEDIA = "?media=include";

async function posted(session: TestSession, path: string, body: object): Promise<void> {
  expect((await post(`${pathOf(session)}/${path}`, body)).status).toBe(200);
}

/** A session with a document of four pieces, and the document's hash. */
async function withDocument(): Promise<{ session: TestSession; sha: string }> {
  const session = await create();
  sessions.script(text("Nice."));
  const bytes = pngBytes(7_000_000);
  bytes.set(new TextEncoder().encode("%PDF-1.7\n"));
  const source = { type: "base64", media_type: "application/pdf", data: bytes.toBase64() };
  await posted(session, "turns", { input: [{ type: "document", source }] });
  return { session, sha: await sha256Hex(bytes) };
}

/** The bytes of an object of media, from its pieces. */
function joined(pieces: readonly Piece[]): Uint8Array {
  expect(pieces.map(({ n }) => n)).toEqual(pieces.map((_, i) => i));
  return Uint8Array.fromBase64(pieces.map(({ data }) => data).join(""));
}

/** The hash of each object of media in an export, from its bytes. */
async function mediaHashes(lines: readonly Line[]): Promise<Map<string, string>> {
  const groups = Map.groupBy(mediaIn(lines), ({ sha256 }) => sha256);
  const hashes = new Map<string, string>();
  for (const [sha, pieces] of groups) hashes.set(sha, await sha256Hex(joined(pieces)));
  return hashes;
}

test("with media=include the bytes of every image are in the file, each once", async () => {
  const session = await create();
  sessions.script(toolUse("look", {}), text("Both."), text("Again."));
  const [large, small] = [pngBytes(3_700_001), pngBytes(20_000)];
  const tools = [{ name: "look", input_schema: { type: "object" } }];
  await posted(session, "turns", { input: [imageBlock(large)], tools });
  const results = [{ tool_call_id: "call_3_0", content: [imageBlock(small)] }];
  await posted(session, "tool-results", { results });
  await posted(session, "turns", { input: [imageBlock(large)], tools });

  const lines = await exported(session, WITH_MEDIA);
  const shas = [await sha256Hex(large), await sha256Hex(small)];
  expect(await mediaHashes(lines)).toEqual(new Map(shas.map((sha) => [sha, sha])));
  expect(mediaIn(lines).map(({ sha256, n }) => [shas.indexOf(sha256), n])).toEqual([
    [0, 0],
    [0, 1],
    [0, 2],
    [1, 0],
  ]);
  expect(lines[0]).toMatchObject({ media: true });
  expect(lines.at(-1)).toEqual({ type: "end", rows: rowsIn(lines).length, media: 2 });
  const without = await exported(session);
  expect(mediaIn(without)).toEqual([]);
  expect(rowsIn(without)).toEqual(rowsIn(lines));
});

test.each([2, 3])("the object dies over page %i, and the export goes on", async (fatal) => {
  const session = await longSession();
  const disk = await onDisk(session);
  const asked = pages((page, object) => {
    if (page === fatal) object.abort("crash");
  });
  const lines = await exported(session);
  expect(asked.count).toBeGreaterThan(fatal);
  expect(lines.slice(1, -1).map((line) => JSON.stringify(line))).toEqual(disk);
  expect(lines.at(-1)).toMatchObject({ type: "end" });
});

test("the object dies before the first page is answered, and the export begins", async () => {
  const session = await longSession(1);
  pages((page, object) => {
    if (page === 1) object.abort("crash");
  });
  expect((await exported(session)).at(-1)).toMatchObject({ type: "end" });
});

test("the object dies while the client reads, again and again", async () => {
  const session = await longSession();
  const disk = await onDisk(session);
  const client = await Client.open(session);
  for (let reads = 0; await client.read(); reads++) if (reads % 8 === 0) await session.crash();
  expect(
    linesIn(client.text)
      .slice(1, -1)
      .map((line) => JSON.stringify(line)),
  ).toEqual(disk);
});

test("the object dies in the middle of a document, and the export goes on", async () => {
  const { session, sha } = await withDocument();
  const client = await Client.open(session, WITH_MEDIA);
  for (const n of [0, 2, 3]) {
    await client.readUntil((all) => all.includes(`"n":${n},`));
    await session.crash();
  }
  const lines = await client.readToEnd();
  expect(await mediaHashes(lines)).toEqual(new Map([[sha, sha]]));
  expect(lines.at(-1)).toMatchObject({ type: "end", media: 1 });
});

test("an object that cannot be reached ends the file with an error", async () => {
  const random = vi.spyOn(Math, "random").mockReturnValue(0);
  const session = await longSession();
  pages((page, object) => {
    if (page > 1) object.abort("crash");
  });
  const client = await Client.open(session);
  const lines = await client.readToEnd();
  random.mockRestore();
  expect(lines.at(-1)).toEqual({
    type: "error",
    code: "unavailable",
    message: expect.any(String),
    retryable: true,
  });
  expect(client.broken).toBe(true);
});

test("an error of our own ends the file with an error, and its place is in the log", async () => {
  const { session } = await withDocument();
  const logged = vi.spyOn(console, "error").mockReturnValue();
  const broken = vi.spyOn(Uint8Array.prototype, "toBase64").mockImplementation(() => {
    throw new RangeError("what it says stays here");
  });
  const client = await Client.open(session, WITH_MEDIA);
  const lines = await client.readToEnd();
  broken.mockRestore();
  const line = String(logged.mock.lastCall?.[0]);
  logged.mockRestore();
  expect(lines.at(-1)).toMatchObject({ type: "error", code: "internal_error", retryable: true });
  expect(client.broken).toBe(true);
  expect(JSON.parse(line)).toMatchObject({ event: "error", session: `sess_${session.id}` });
  expect(client.text + line).not.toContain("what it says");
});

test("a client that leaves early is noticed, and no further page is read", async () => {
  const session = await longSession(6);
  const asked = pages();
  const client = await Client.open(session);
  await client.read(100);
  await client.leave();
  expect(asked.count).toBeLessThan(3);
});

test("an export of a running session ends where the session was", async () => {
  const session = await longSession(2);
  const { reply, gate } = held({ block: 0, delta: 1 }, [text("ab", { deltas: ["a", "b"] })]);
  sessions.script(reply);
  const sent = await session.send("go on");
  await session.reader.until(() => session.reader.previewed === "a");
  const before = await onDisk(session);
  const client = await Client.open(session);
  await client.read(100);
  await session.open(gate);
  await session.outcome(sent);
  const lines = await client.readToEnd();
  expect(lines[0]).toMatchObject({ head: before.length });
  expect(lines.slice(1, -1).map((line) => JSON.stringify(line))).toEqual(before);
  expect((await onDisk(session)).length).toBeGreaterThan(before.length);
});

const DELETED = {
  type: "error",
  code: "session_deleted",
  message: "The session was deleted.",
  retryable: false,
};

test("a session that is deleted in the middle ends the file with an error", async () => {
  const session = await longSession();
  const client = await Client.open(session);
  await client.read(100);
  expect((await send("DELETE", pathOf(session))).status).toBe(200);
  const lines = await client.readToEnd();
  expect(lines.at(-1)).toEqual(DELETED);
  expect(lines).not.toContainEqual(expect.objectContaining({ type: "end" }));
  expect(client.broken).toBe(true);
});

test("a session that is deleted in the middle of a document ends the file with an error", async () => {
  const { session } = await withDocument();
  const client = await Client.open(session, WITH_MEDIA);
  await client.readUntil((all) => all.includes('"n":0,'));
  let erased = false;
  onFaultPoint((_, point) => {
    if (point === "erased") erased = true;
  });
  expect((await send("DELETE", pathOf(session))).status).toBe(200);
  while (!erased) await home();
  expect((await client.readToEnd()).at(-1)).toEqual(DELETED);
});

test("no secret leaves with the file", async () => {
  const server = serverWith({ API_KEYS: "ann:a-secret-key" });
  const ann = { authorization: "Bearer a-secret-key" };
  const created = await server("POST", "/api/sessions", {}, ann);
  const session = created.headers.get("location") ?? "";
  const key = { "idempotency-key": "of-the-client" };
  sessions.script(text("Hello."));
  await (await server("POST", `${session}/turns`, { input: "Hi" }, { ...ann, ...key })).text();
  const ticket = await server("POST", `${session}/stream-ticket`, {}, ann);
  expect(ticket.status).toBe(200);
  const all = await (await server("GET", `${session}/export`, undefined, ann)).text();
  const name = `${await accountId("ann")}/${session.replace("/api/sessions/sess_", "")}`;
  // The stub is the platform's: its types cannot follow types as recursive as JSON.
  const stub = env.SESSION.getByName(name) as unknown as { secret(): Promise<string> };
  const secret = await stub.secret();
  expect(secret).toMatch(/^[0-9a-f]{64}$/);
  for (const word of [secret, "a-secret-key", "secret"]) expect(all).not.toContain(word);
  expect(all).toContain('"key":{"id":"turns of-the-client","hash":"');
});

test("HEAD says the same without a body, and nobody goes on writing one", async () => {
  const session = await create();
  const context = createExecutionContext();
  const request = new Request(`http://localhost${pathOf(session)}/export`, { method: "HEAD" });
  const response = await worker.fetch(request, env, context);
  expect(response.status).toBe(200);
  expect(response.headers.get("content-disposition")).toContain(`${session.id}.jsonl`);
  expect(response.body).toBeNull();
  await waitOnExecutionContext(context);
});

test.each(["GET", "HEAD"])("%s of a session that never was is 404", async (method) => {
  const path = "/api/sessions/sess_01J0000000000000000000000A/export";
  expect((await send(method, path)).status).toBe(404);
});

test.each(["?media=", "?media=all"])("%s names the parameter that is wrong", async (query) => {
  const session = await create();
  const response = await get(`${pathOf(session)}/export${query}`);
  expect(response.status).toBe(422);
  expect(await response.json()).toMatchObject({ errors: [{ field: "query -> media" }] });
});

test("no other method exports", async () => {
  const session = await create();
  const response = await post(`${pathOf(session)}/export`);
  expect(response.status).toBe(405);
  expect(response.headers.get("allow")?.split(", ").sort()).toEqual(["GET", "HEAD"]);
});
