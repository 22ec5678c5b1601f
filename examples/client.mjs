/**
 * What the examples share: requests with plain `fetch`, and checks that end a program which finds
 * something else than it should. Node 20 or newer; no packages.
 *
 * `BASE_URL` says where the server is (http://127.0.0.1:8000 without it), `API_KEY` the key it wants.
 */
export const BASE_URL = (process.env.BASE_URL || "http://127.0.0.1:8000").replace(/\/+$/, "");

const KEY = process.env.API_KEY ? { "x-api-key": process.env.API_KEY } : {};

/** Sends JSON; the response as it is. */
export function send(method, path, body, headers = {}) {
  const json = body === undefined ? {} : { "content-type": "application/json" };
  return fetch(BASE_URL + path, {
    method,
    headers: { ...json, ...KEY, ...headers },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
}

/** Sends JSON and reads JSON; ends the program when the status is another one. */
export async function ask(method, path, body, { status = 200, headers } = {}) {
  const response = await send(method, path, body, headers);
  const text = await response.text();
  if (response.status !== status) {
    fail(`${method} ${path} answered ${response.status} and not ${status}: ${text.slice(0, 500)}`);
  }
  return text === "" ? null : JSON.parse(text);
}

/** Says what is right, or ends the program. */
export function check(isSo, what) {
  if (!isSo) fail(`not so: ${what}`);
  console.log(`  ok  ${what}`);
}

export const title = (text) => console.log(`\n${text}`);

/** The first line of a text, shortened. */
export function shown(text, length = 100) {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length > length ? `${line.slice(0, length)}…` : line;
}

/** Runs the program and says how it ended. */
export async function run(name, main) {
  try {
    await main();
    console.log(`\n${name}: all as it should be`);
  } catch (error) {
    console.error(`\n${name}: ${error.message}${error.cause ? ` (${error.cause.message})` : ""}`);
    process.exitCode = 1;
  }
}

function fail(message) {
  throw new Error(message);
}
