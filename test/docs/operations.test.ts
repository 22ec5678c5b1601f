/** `docs/operations.md` says which test proves which promise; here it is held to that. */
import { createExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, test, vi } from "vitest";
import operations from "../../docs/operations.md?raw";
import { createApp } from "../../src/http/app.ts";
import { logLines } from "../../src/session/log-lines.ts";
import { httpError, text } from "../../src/standin/replies.ts";
import worker from "../../src/worker.ts";
import { useSessions } from "../support/sessions.ts";

const sessions = useSessions();

const sources = import.meta.glob("../**/*.test.ts", { query: "?raw", import: "default" });

/** The text between the two comments of this name. */
function section(name: string): string {
  const [, text = ""] = operations.split(new RegExp(`<!-- /?${name} -->`));
  return text;
}

/** Names of the promises, in their order. */
const promises = [...section("promises").matchAll(/^\| (\d+) \| \*\*(.+?)\*\*/gm)].map(
  ([, number, name = ""]) => ({ number: Number(number), name }),
);

/** The rows of the table, without the two lines of its heading. */
const proofs = section("proofs")
  .trim()
  .split("\n")
  .slice(2)
  .map((line) => {
    const [, failure = "", promise = "", proof = ""] = line.split("|").map((cell) => cell.trim());
    const [, file = "", name = ""] = /^`(test\/\S+\.test\.ts)`: (.+)$/.exec(proof) ?? [];
    return { failure, promise, file, name };
  });

/** This text names a test, one of `test.each`, or a script of the crash matrix. */
function names(source: string, name: string): boolean {
  const literal = name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  return new RegExp(`(\\b(test|it|matrix)|\\))\\(\\s*(["'\`])${literal}\\3,`).test(source);
}

test("each of the nine promises has a test that proves it", () => {
  expect(promises.map(({ number }) => number)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
  const proven = new Set(proofs.map(({ promise }) => promise));
  expect([...proven].toSorted()).toEqual(promises.map(({ name }) => name).toSorted());
});

test("every test that is named as a proof is there", async () => {
  expect(proofs.length).toBeGreaterThan(promises.length);
  const missing = [];
  for (const proof of proofs) {
    const source = await sources[proof.file.replace(/^test\//, "../")]?.();
    if (!source || !names(source, proof.name)) missing.push(proof);
  }
  expect(missing).toEqual([]);
});

const keysOf = (line: object): string[] => Object.keys(line).toSorted();

test("the lines of the log are as they are shown", async () => {
  const shown = [...section("log lines").matchAll(/^\{.*\}$/gm)].map(([line]) => JSON.parse(line));
  const events = ["turn", "failure", "webhook", "refused", "error"];
  expect(shown.map(({ event }) => event)).toEqual(events);
  const [turn, failure, webhook, refused, error] = shown.map(keysOf);

  const random = vi.spyOn(Math, "random").mockReturnValue(0);
  const session = await sessions.create();
  sessions.script(httpError(529), text("Hello."));
  await session.turn("Hi");
  random.mockRestore();
  const place = { account: session.account, session: session.id };
  const lines = logLines(await session.rows(), place, null);
  expect(lines.map(keysOf)).toEqual([failure, turn]);

  const head = (await session.rows()).length;
  sessions.script(text("Done."));
  // An address that is not even asked.
  await session.job("Work", {}, "http://hooks.example.com/");
  await session.reader.row("webhook.attempted");
  const told = logLines((await session.rows()).slice(head), place, null);
  expect(told.map(keysOf)).toEqual([turn, webhook]);

  const warned = vi.spyOn(console, "warn").mockReturnValue();
  const headers = { authorization: "Bearer lk_unknown" };
  const request = new Request("http://localhost/api/sessions", { headers });
  await worker.fetch(request, env, createExecutionContext());
  const warnings = warned.mock.calls.map(([line]) => JSON.parse(String(line)));
  warned.mockRestore();
  expect(warnings.map(keysOf)).toEqual([refused]);

  const written = vi.spyOn(console, "error").mockReturnValue();
  const app = createApp();
  app.get("/broken", () => {
    throw new TypeError("broken");
  });
  await app.request("/broken", {}, env);
  const calls = written.mock.calls.map(([line]) => JSON.parse(String(line)));
  written.mockRestore();
  expect(calls.map(keysOf)).toEqual([error]);
});
