import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect } from "vitest";
import { flatten } from "../../src/model/usage.ts";
import { sessionStub } from "../../src/session/calls.ts";
import type { Json, JsonObject } from "../../src/shared/content.ts";
import type { Row } from "../../src/shared/rows.ts";
import { addUsage, NO_USAGE, type Usage } from "../../src/shared/usage.ts";
import type { RecordedRequest } from "../../src/standin/journal.ts";
import { get, send, standin } from "../api/cc/server.ts";
import { checkLog, checkRequests } from "../support/laws.ts";
import { Reader } from "../support/reader.ts";
import type { Client } from "./client.ts";
import type { Faults } from "./faults.ts";
import { requestId } from "./model.ts";
import { checkFrames, lastHistory, shownIn, type Told, viewOf } from "./story.ts";

/** A run that is over: what is checked of it. */
export interface Finished {
  client: Client;
  faults: Faults;
  requests: readonly RecordedRequest[];
}

/** The account and the ULID in the name of the run's object. */
function namesOf(faults: Faults): { account: string; ulid: string } {
  const [account = "", ulid = ""] = (faults.object ?? "").split("/");
  return { account, ulid };
}

/** What holds whatever the session does. */
export function checkAlways({ faults }: Finished): void {
  for (const { alarm, repeated } of faults.wakings) {
    expect(alarm !== null || repeated, "an alarm is on disk when work is").toBe(true);
  }
  expect(standin.unexpectedRefusals().map(({ outcome }) => outcome)).toEqual([]);
}

/** Checks the log, the money, the account's index and all that clients saw; gives the session. */
export async function checkSession(run: Finished, events: readonly Told[]): Promise<JsonObject> {
  const { client, faults, requests } = run;
  const { account, ulid } = namesOf(faults);
  const stub = sessionStub(env, account, ulid);
  const reader = new Reader(stub);
  const rows = await checkLog({ stub, reader, inside: (act) => client.platform.inside(act) });
  if (!rows) throw new Error("the session is gone");
  checkRows(rows, requests);
  const session = await (await get(client.path)).json<JsonObject>();
  checkMoney(rows, session);
  await checkIndex(session);
  await checkLedger(rows, { account, ulid });
  checkStreams(client, events);
  return session;
}

/** What the rows say of the model's answers and of tools. */
function checkRows(rows: readonly Row[], requests: readonly RecordedRequest[]): void {
  const answers = rows.flatMap((row) =>
    row.type === "call.ended" && row.body.end === "ok" ? [row.body] : [],
  );
  const known = new Set(answers.map(({ request_id }) => request_id));
  // An answer that came whole and was lost with the object is none.
  checkRequests(
    rows,
    requests.filter((one) => one.outcome.state !== "answered" || known.has(requestId(one))),
  );
  for (const answer of answers) checkAnswer(answer, requests);
  expect(known.size, "answers with an id of their own").toBe(answers.length);
  checkTools(rows);
}

/** One answer of the model is one `call.ended`, with what the API says that it cost. */
function checkAnswer(
  {
    request_id,
    usage,
    estimated,
  }: { request_id: string | null; usage: Usage | null; estimated: boolean },
  requests: readonly RecordedRequest[],
): void {
  const [request, ...others] = requests.filter((one) => requestId(one) === request_id);
  expect(others, `requests with the id ${request_id}`).toEqual([]);
  if (request?.outcome.state !== "answered") throw new Error(`nobody answered ${request_id}`);
  expect(estimated).toBe(false);
  // Those of a compaction stand in an entry of their own.
  const told = flatten(request.outcome.usage ?? {}) as unknown as JsonObject;
  for (const field of Object.keys(NO_USAGE)) {
    // Both have the API's names.
    const own = usage as unknown as JsonObject;
    expect(own[field], `${field} of ${request_id}`).toBe(told[field]);
  }
}

/** A tool that may not run twice was started once, and no call has two results. */
function checkTools(rows: readonly Row[]): void {
  for (const type of ["tool.started", "tool.ended"] as const) {
    const ids = rows.flatMap((row) => (row.type === type ? [row.body.tool] : []));
    expect(ids, `one ${type} for each call`).toEqual([...new Set(ids)]);
  }
}

/** The session's figures are the sum of its calls; those of an outcome, of the calls since the last. */
function checkMoney(rows: readonly Row[], session: JsonObject): void {
  let since: Row[] = [];
  let open = false;
  for (const row of rows) {
    open ||= row.type === "input" || row.type === "input.taken" || row.type === "turn.resumed";
    const between = !open && row.type === "call.ended" && row.body.purpose === "compact";
    // What is compacted while nothing runs is no submission's.
    if (!between) since.push(row);
    if (row.type !== "outcome") continue;
    open = row.body.queued.length > 0;
    expect(row.body.totals.billed, `figures of outcome ${row.seq}`).toEqual(sum(since));
    since = [];
  }
  expect(session.usage, "figures of the session").toMatchObject({ billed: sum(rows) });
}

/** What all calls used. */
const sum = (rows: readonly Row[]): Usage =>
  rows.reduce(
    (usage, row) =>
      row.type === "call.ended" ? addUsage(usage, row.body.usage ?? NO_USAGE) : usage,
    NO_USAGE,
  );

/** The account lists the session as it is. */
async function checkIndex(session: JsonObject): Promise<void> {
  const [listed, ...others] = await listedAs(String(session.id));
  expect(others, "the account's index").toEqual([]);
  // It has less of a session than the session itself.
  expect(session, "the account's index").toMatchObject(listed ?? { missing: true });
}

/** The account has counted each call once, however often it was told. */
async function checkLedger(
  rows: readonly Row[],
  { account, ulid }: { account: string; ulid: string },
): Promise<void> {
  const object = env.ACCOUNT.getByName(account);
  const counted = await runInDurableObject(object, (_, { storage }) =>
    storage.sql
      .exec(
        `SELECT coalesce(SUM(fresh), 0) AS input_tokens, coalesce(SUM(output), 0) AS output_tokens,
          coalesce(SUM(write_5m + write_1h), 0) AS cache_creation_input_tokens,
          coalesce(SUM(read), 0) AS cache_read_input_tokens FROM usage WHERE session = ?`,
        ulid,
      )
      .one(),
  );
  expect(sum(rows), "the account's ledger").toMatchObject(counted);
}

/** What the account lists under an id. The session of this run is the newest. */
async function listedAs(id: string): Promise<JsonObject[]> {
  const { data } = await (await get("/api/sessions")).json<{ data: JsonObject[] }>();
  return data.filter((session) => session.id === id);
}

function checkStreams({ follower, responses }: Client, events: readonly Told[]): void {
  for (const [i, { frames }] of responses.entries()) {
    checkFrames(frames, events, `response ${i}`);
    checkOwn(frames, events, i);
  }
  if (!follower) return;
  const view = checkFrames(follower.frames, events, "the stream");
  expect(shownIn(follower.frames), "events of the stream").toEqual(events.map(({ id }) => id));
  expect(view, "view(client) = reduce(frames(log))").toEqual(viewOf(events));
}

/** A response has all events of its turn between its first and its last. */
function checkOwn(
  frames: Parameters<typeof checkFrames>[0],
  events: readonly Told[],
  i: number,
): void {
  const shown = shownIn(frames);
  const [first = 0, last = 0] = [shown.at(0), shown.at(-1)];
  const turn = events.find(({ id }) => id === last)?.turn_id;
  const own = events.filter(
    (event) =>
      event.turn_id === turn && event.id >= first && event.id <= last && !isAnothers(event),
  );
  const had = new Set(shown);
  expect(
    own.filter(({ id }) => !had.has(id)).map(({ id, type }) => `${type} ${id}`),
    `response ${i} lacks`,
  ).toEqual([]);
}

/** What takes or ends another message of the same turn is not in the response to this one. */
const isAnothers = ({ type }: Told): boolean =>
  type === "input.taken" || type === "turn.completed" || type === "turn.interrupted";

/** Deletes the session of a run, whose clients are told; what it cost is kept. */
export async function removeSession(run: Finished, { usage }: JsonObject): Promise<void> {
  const { client } = run;
  const response = await send("DELETE", client.path);
  expect(response.status).toBe(200);
  const { follower } = client;
  if (follower) {
    await client.platform.until(() => follower.ended, "the stream ends");
    expect(follower.frames.at(-1)?.event).toBe("session.deleted");
  }
  await checkDeleted(run, usage);
}

/** A deleted session is not found, not listed, and its figures are kept. */
async function checkDeleted({ client, faults }: Finished, usage: Json | undefined): Promise<void> {
  const { account, ulid } = namesOf(faults);
  expect((await get(client.path)).status).toBe(404);
  expect(await listedAs(`sess_${ulid}`), "the account's index").toEqual([]);
  const figures = await runInDurableObject(env.ACCOUNT.getByName(account), (_, { storage }) =>
    storage.sql
      .exec<{ figures: string }>("SELECT figures FROM tombstone WHERE id = ?", ulid)
      .toArray()
      .map((row) => JSON.parse(row.figures).usage),
  );
  expect({ billed: figures[0] }, "final figures").toEqual({ billed: Object(usage).billed });
}

/**
 * How a response ends when the session is deleted. Who has to connect again just then finds no session,
 * and is told that it was deleted.
 */
const ENDS_OF_DELETED = ["interrupted", "input_cancelled", "session_deleted"];

/** A session that its script has deleted: its last rows, what clients saw of them, and nothing left. */
export async function checkErased(run: Finished): Promise<Told[]> {
  const { client, faults, requests } = run;
  if (!faults.erased) throw new Error("the data was not erased");
  const { rows, unended } = faults.erased;
  expect(unended, "submissions without exactly one end").toEqual([]);
  const events = lastHistory(client.path, rows);
  checkRows(rows, requests);
  for (const [i, { frames, last }] of client.responses.entries()) {
    checkFrames(frames, events, `response ${i}`);
    expect(ENDS_OF_DELETED, `end of response ${i}`).toContain(last.status ?? last.code);
  }
  if (client.follower) {
    const { frames, last } = client.follower;
    checkFrames(frames, events, "the stream");
    expect(["session.deleted", "session_deleted"]).toContain(last.code ?? last.type);
  }
  const tables = await client.platform.inside(({ storage }) =>
    storage.sql
      .exec("SELECT name FROM sqlite_master WHERE name NOT LIKE '\\_%' ESCAPE '\\'")
      .toArray(),
  );
  expect(tables, "tables of the session").toEqual([]);
  await checkDeleted(run, { billed: { ...sum(rows) } });
  return events;
}
