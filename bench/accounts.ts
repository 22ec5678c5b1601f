/** One account of 100,000 sessions: the list, a search, the pages of claude-code-api, and a new session. */
import { createHash } from "node:crypto";
import { json, now } from "./support/client.ts";
import { COUNTING_WORKER, type Ledge, startLedge } from "./support/ledge.ts";
import { startModelProcess } from "./support/model.ts";
import { type Figure, type Result, spread } from "./support/results.ts";
import { type AccountFilling, LABEL, LABELLED } from "./worker/filling.ts";

const FEW = 100;
const MANY = 100_000;
/** Sessions that are written in one call. */
const STEP = 10_000;
const PAGE = 20;
const RUNS = 40;

interface Account {
  name: string;
  sessions: number;
  headers: Record<string, string>;
}

interface Page {
  data: { id: string }[];
  has_more: boolean;
  next_cursor: string | null;
}

const account = (name: string, sessions: number): Account => ({
  name,
  sessions,
  headers: { authorization: `Bearer ${keyOf(name)}` },
});

const keyOf = (name: string): string => `benchmark-key-of-${name}`;

const ACCOUNTS = [account("few", FEW), account("many", MANY)] as const;

export default async function accounts(): Promise<Result> {
  const model = await startModelProcess();
  const ledge = await startLedge({
    model: model.url,
    worker: COUNTING_WORKER,
    variables: { API_KEYS: ACCOUNTS.map(({ name }) => `${name}:${keyOf(name)}`).join(",") },
  });
  try {
    for (const one of ACCOUNTS) await fill(ledge, one);
    const [few, many] = ACCOUNTS;
    const middle = { few: await middleOf(ledge, few), many: await middleOf(ledge, many) };
    const figures: Figure[] = [];
    const notes: string[] = [];
    const compare = async (what: string, path: (one: Account) => string, body?: () => object) => {
      const times = { few: [] as number[], many: [] as number[] };
      await json(`${ledge.url}/bench/counters`);
      // One after the other, so that a busy moment of the machine hits both.
      for (let n = -3; n < RUNS; n++) {
        for (const one of ACCOUNTS) {
          const began = now();
          await call(ledge, one, path(one), body?.());
          // The first ones warm everything up.
          if (n >= 0) times[one === few ? "few" : "many"].push(now() - began);
        }
      }
      const baseline = { what: `${FEW} sessions`, value: spread(times.few) };
      figures.push({ what, unit: "ms", value: spread(times.many), baseline });
      const read = await rowsRead(ledge);
      notes.push(
        `${what}: ${read(many)} rows read in the account of ${MANY}, ${read(few)} in that of ${FEW}`,
      );
    };
    const page = `/api/sessions?limit=${PAGE}`;
    await compare("first page", () => page);
    await compare(
      "a page in the middle",
      (one) => `${page}&cursor=${middle[one === few ? "few" : "many"]}`,
    );
    await compare("first page of a filter that all pass", () => `${page}&status=idle`);
    await compare("a name that nobody has", () => `${page}&name=nobody`);
    await compare("one call of a search that finds a page", () => `${page}&q=SUBJECT`);
    await compare("one call of a search that finds nothing", () => `${page}&q=unicorn`);
    const numbered = `/api/v1/sessions?limit=${PAGE}`;
    await compare("first numbered page, by the last change", () => numbered);
    await compare(
      "a numbered page in the middle",
      ({ sessions }) => `${numbered}&page=${Math.ceil(sessions / PAGE / 2)}`,
    );
    await compare(
      `a numbered page of the label that ${100 / LABELLED} % have`,
      () => `${numbered}&user_id=${LABEL}`,
    );
    await compare("totals of usage", () => "/api/v1/usage");
    await compare("totals of usage, of that label", () => `/api/v1/usage?user_id=${LABEL}`);
    for (const q of ["needle", "unicorn"]) {
      const walks = { few: await walk(ledge, few, q), many: await walk(ledge, many, q) };
      const found = q === "needle" ? "finds one in the middle" : "finds nothing";
      const what = `a search that ${found}, to its end, in ${walks.many.calls} calls`;
      const value = spread(walks.many.times);
      const baseline = {
        what: `${FEW} sessions, in ${walks.few.calls}`,
        value: spread(walks.few.times),
      };
      figures.push({ what, unit: "ms", value, baseline });
      if (walks.many.found !== (q === "needle" ? 1 : 0)) throw new Error("the search is wrong");
    }
    await compare(
      "create",
      () => "/api/sessions",
      () => ({}),
    );
    let names = 0;
    await compare(
      "create with a name",
      () => "/api/sessions",
      () => ({ name: `name ${++names}` }),
    );
    return { name: "accounts", figures, notes };
  } finally {
    await ledge.close();
    await model.close();
  }
}

const call = <T>(ledge: Ledge, { headers }: Account, path: string, body?: object): Promise<T> =>
  json<T>(`${ledge.url}${path}`, body, { headers });

/** Its object's name. */
const objectOf = ({ name }: Account): string =>
  `acct_${createHash("sha256").update(name).digest("hex").slice(0, 16)}`;

async function fill(ledge: Ledge, one: Account): Promise<void> {
  // Its tables are made by the first session.
  await call(ledge, one, "/api/sessions", {});
  const needle = Math.floor(one.sessions / 2);
  for (let from = 0; from < one.sessions; from += STEP) {
    const count = Math.min(STEP, one.sessions - from);
    const filling: AccountFilling = { from, count, needle };
    await json(`${ledge.url}/bench/fill-account?name=${objectOf(one)}`, filling);
  }
}

/** The cursor of a page in the middle of the list. */
async function middleOf(ledge: Ledge, one: Account): Promise<string> {
  const { data } = await walk(ledge, one, "needle");
  return data[0]?.id.replace("sess_", "") ?? "";
}

/** All pages of a search, several times. */
async function walk(ledge: Ledge, one: Account, q: string) {
  const times: number[] = [];
  let calls = 0;
  let data: Page["data"] = [];
  for (let run = 0; run < 5; run++) {
    const began = now();
    calls = 0;
    data = [];
    for (let cursor: string | null = ""; cursor !== null; ) {
      const after: string = cursor === "" ? "" : `&cursor=${cursor}`;
      const page: Page = await call(ledge, one, `/api/sessions?limit=${PAGE}&q=${q}${after}`);
      data.push(...page.data);
      calls += 1;
      cursor = page.next_cursor;
    }
    times.push(now() - began);
  }
  return { times, calls, data, found: data.length };
}

/** Rows that an account's object has read for each call, since this was last asked. */
async function rowsRead(ledge: Ledge): Promise<(one: Account) => number> {
  const url = `${ledge.url}/bench/counters`;
  const { rows } = await json<{ rows: Record<string, { read: number }> }>(url);
  return (one) => Math.round((rows[objectOf(one)]?.read ?? 0) / (RUNS + 3));
}
