/** Sizes, counts and depths of what clients send: each limit holds, and one below it does not bite. */
import { beforeAll, describe, expect, test } from "vitest";
import operations from "../../docs/operations.md?raw";
import { get, post, withStandin } from "../api/cc/server.ts";
import { codePath, type Limit, makeSession, LIMITS as NATIVE, x } from "./limits-cases.ts";
import { CODE_LIMITS } from "./limits-cases-code.ts";

withStandin();

const LIMITS = [...NATIVE, ...CODE_LIMITS];

beforeAll(makeSession);

/** All that a refusal says is wrong, and its code; none for what is let through. */
async function saidOf(response: Response): Promise<string[]> {
  const text = await response.text();
  expect(response.status, text.slice(0, 500)).toBeLessThan(500);
  if (response.status < 400) return [];
  const { error, errors = [] } = JSON.parse(text) as {
    error: { code: string };
    errors?: { field: string; type: string }[];
  };
  return [
    error.code,
    ...errors.flatMap(({ field, type }) => [
      field,
      `${field} ${type}`,
      ...(type.startsWith("json_") ? ["body -> *"] : []),
    ]),
  ];
}

describe.each(LIMITS.map((limit) => [limit.what, limit.most, limit] as const))(
  "%s: %d",
  (_, __, { most, send, refused }) => {
    test("is let through, and one more is not", async () => {
      expect(await saidOf(await send(most))).not.toContain(refused);
      expect(await saidOf(await send(most + 1))).toContain(refused);
    }, 20_000);
  },
);

test("an X-Request-Id of 128 characters is kept, a longer one replaced", async () => {
  for (const [n, kept] of [
    [128, true],
    [129, false],
  ] as const) {
    const { headers } = await get("/healthz", { "x-request-id": x(n) });
    expect(headers.get("x-request-id") === x(n)).toBe(kept);
  }
});

/** The largest page of each list of claude-code-api, where a number out of range is brought into it. */
const PAGES: readonly (readonly [path: () => string, most: number])[] = [
  [() => "/api/v1/sessions", 100],
  [() => `${codePath()}/history`, 200],
  [() => `${codePath()}/jobs`, 200],
  [() => `${codePath()}/files`, 1_000],
  [() => "/api/v1/audit", 200],
];

test("a page of /api/v1 is at most so long, and there is none before the first", async () => {
  const { status } = await post(`${codePath()}/chat`, { message: "Hi" });
  expect(status).toBe(200);
  for (const [path, most] of PAGES) {
    for (const [query, page, limit] of [
      [`limit=${most}`, 1, most],
      [`limit=${most + 1}`, 1, most],
      ["limit=999999999999999", 1, most],
      ["limit=0&page=0", 1, 1],
      ["limit=-1&page=-1", 1, 1],
      ["limit=+2&page=1000000000", 1_000_000_000, 2],
      ["limit=2&page=1000000001", 1_000_000_000, 2],
    ] as const) {
      const response = await get(`${path()}?${query}`);
      const { pagination } = await response.json<{ pagination: object }>();
      expect([path(), query, pagination]).toEqual([
        path(),
        query,
        expect.objectContaining({ page, limit }),
      ]);
    }
    for (const query of ["limit=x", "page=1.5", "page=", "limit=9999999999999999"]) {
      const response = await get(`${path()}?${query}`);
      const field = `query -> ${query.split("=")[0]}`;
      expect([path(), query, await saidOf(response)]).toEqual([
        path(),
        query,
        expect.arrayContaining([`${field} int_parsing`]),
      ]);
    }
  }
});

test("an X-Request-ID of /api/v1 is any text, of which 128 printable characters are kept", async () => {
  for (const [sent, kept] of [
    [x(128), x(128)],
    [x(129), x(128)],
    [`${x(127)} y`, x(127)],
    ["a b/c é \t", "a b/c"],
    [" ", /^req_/],
  ] as const) {
    const response = await get("/api/v1/health", { "x-request-id": sent });
    const { meta } = await response.json<{ meta: { request_id: string } }>();
    expect(response.headers.get("x-request-id")).toBe(meta.request_id);
    if (typeof kept === "string") expect(meta.request_id).toBe(kept);
    else expect(meta.request_id).toMatch(kept);
  }
});

const figure = ({ most, unit }: Limit): string =>
  `${most.toLocaleString("en-US")}${unit ? ` ${unit}` : ""}`;

test("operations.md has the same limits", () => {
  const table = [
    "| what | at most |",
    "| --- | --- |",
    ...LIMITS.map((one) => `| ${one.what} | ${figure(one)} |`),
  ];
  const [, found] =
    /<!-- request limits -->\n([\s\S]*?)\n<!-- \/request limits -->/.exec(operations) ?? [];
  expect(found).toBe(table.join("\n"));
});
