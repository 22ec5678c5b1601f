/** Secrets that are planted wherever there is one, and all that comes out of a server that has them. */
import { afterAll, beforeAll, expect, type MockInstance, vi } from "vitest";
import { accountId } from "../../src/http/auth.ts";
import { webhookSecret } from "../../src/shared/webhook-signature.ts";
import { newAccount } from "../api/cc/keys-support.ts";
import { configure, ENCRYPTION } from "../api/cc/own-key-support.ts";
import { type Headers, serverWith, standin } from "../api/cc/server.ts";
import { HOOK } from "../support/receiver.ts";
import { type Echo, echoing } from "./echoes.ts";
import { newWorld, type World } from "./surface.ts";

/** Without the form of Anthropic's keys, by which they might be known. */
export const KEYS = {
  client: "PLANTED-client-key-0123456789",
  server: "PLANTED.server.key.0123456789",
  account: "PLANTED.account.key.0123456789",
  session: "PLANTED.session.key.0123456789",
};
const server = serverWith({
  API_KEYS: `planted:${KEYS.client}`,
  ALLOW_ANONYMOUS: "false",
  ENCRYPTION_KEY: ENCRYPTION.first,
  ANTHROPIC_API_KEY: KEYS.server,
});

/** What may be nowhere: each secret, and the same as it looks in base64 and hex. */
export const forbidden = new Map<string, string>();
export function forbid(name: string, secret: string): void {
  expect(secret.length).toBeGreaterThanOrEqual(20);
  const bytes = new TextEncoder().encode(secret);
  forbidden.set(name, secret);
  // Without the end, whose characters depend on what follows.
  forbidden.set(`${name} in base64`, bytes.toBase64().slice(0, -4));
  forbidden.set(`${name} in hex`, bytes.toHex());
  forbidden.set(`${name} in small letters`, secret.toLowerCase());
  forbidden.set(`${name}, its first part`, secret.slice(0, -4));
}

/** All that came out, and where. */
export const outputs: { where: string; text: string }[] = [];
/** Outputs before this one were looked at. */
let looked = 0;
export let characters = 0;

function keep(where: string, text: string): void {
  characters += text.length;
  outputs.push({ where, text });
}

/** What of these holds which secret. */
export const leaksIn = (texts: typeof outputs): string[] =>
  texts.flatMap(({ where, text }) =>
    [...forbidden].flatMap(([name, secret]) =>
      text.includes(secret) ? [`${where}: ${name}`] : [],
    ),
  );

/** What of the outputs since the last look holds which secret. */
export function leaks(): string[] {
  const found = leaksIn(outputs.slice(looked));
  looked = outputs.length;
  return found;
}

/** What this answer is for is no leak. */
export function forget(text: string): void {
  outputs.splice(
    outputs.findIndex((one) => one.text === text),
    1,
  );
}

/** What answers the next calls in place of the stand-in, and in place of the receiver of webhooks. */
export const answers: { api: Echo | null; hook: Echo | null } = { api: null, hook: null };
/** Who paid for the calls so far. */
export const paid = new Set<string>();
/** What the API was sent apart from the key: it is an output, too. */
function received(where: string, init: RequestInit): void {
  const body =
    init.body instanceof Uint8Array
      ? new TextDecoder("latin1").decode(init.body)
      : String(init.body ?? "");
  const headers = [...new Headers(init.headers)].filter(
    ([name]) => name !== "authorization" && name !== "x-api-key",
  );
  keep(where, JSON.stringify(headers) + body);
}

/** The world outside. */
async function outside(input: RequestInfo | URL, init: RequestInit = {}): Promise<Response> {
  const sent = new Headers(init.headers);
  if (String(input).startsWith(HOOK)) {
    received("a webhook", init);
    return answers.hook?.(`${input} ${sent.get("webhook-signature")}`) ?? new Response();
  }
  const key = sent.get("authorization")?.replace("Bearer ", "") ?? sent.get("x-api-key") ?? "";
  paid.add(key);
  received("a request to the API", init);
  const own = answers.api?.(key);
  if (own) return own;
  const response = await standin.fetch(input, init);
  const headers = new Headers(response.headers);
  for (const [name, value] of Object.entries(echoing(key)))
    if (name !== "location") headers.set(name, value);
  return new Response(response.body, { status: response.status, headers });
}

export let world: World;
let log: MockInstance[] = [];

/** All lines that the server has written. */
export const linesOfLog = (): string => JSON.stringify(log.flatMap(({ mock }) => mock.calls));

const realFetch = globalThis.fetch;

/** Plants them for the tests of a file, and an account in which there is everything. */
export function plant(): void {
  beforeAll(async () => {
    configure({
      ENCRYPTION_KEY: ENCRYPTION.first,
      ANTHROPIC_API_KEY: KEYS.server,
      CLAUDE_RETRY_MAX_ATTEMPTS: "1",
    });
    log = (["log", "info", "warn", "error", "debug"] as const).map((level) =>
      vi.spyOn(console, level).mockImplementation(() => {}),
    );
    globalThis.fetch = outside;
    for (const [name, key] of Object.entries(KEYS)) forbid(`the ${name}'s key`, key);
    for (const [name, key] of Object.entries(ENCRYPTION)) {
      forbid(`the ${name} ENCRYPTION_KEY`, key);
      forbidden.set(
        `the bytes of the ${name} ENCRYPTION_KEY`,
        Buffer.from(key, "base64").toString("latin1"),
      );
    }
    world = await newWorld(server, newAccount());
    forbid("a managed key", world.key.text.slice(-40));
    for (const [name, key] of Object.entries(ENCRYPTION)) {
      const keyring = { current: Uint8Array.fromBase64(key), old: [] };
      const secret = await webhookSecret(keyring, await accountId(world.account));
      const text = secret.replace("whsec_", "");
      const bytes = Uint8Array.fromBase64(text);
      forbid(`the secret of webhooks under the ${name} key`, text);
      forbidden.set(`its bytes, under the ${name} key`, new TextDecoder("latin1").decode(bytes));
      forbidden.set(`its bytes as hex, under the ${name} key`, bytes.toHex());
    }
  }, 30_000);

  afterAll(() => {
    globalThis.fetch = realFetch;
    vi.restoreAllMocks();
    configure({ ENCRYPTION_KEY: null, ANTHROPIC_API_KEY: null, CLAUDE_RETRY_MAX_ATTEMPTS: null });
  });
}

/** One request, whose whole answer is kept. */
export async function ask(
  method: string,
  path: string,
  body?: unknown,
  headers: Headers = {},
  asked = server,
): Promise<{ status: number; text: string; location: string }> {
  const response = await asked(method, path, body, { ...world.key.headers, ...headers });
  const at = `${method} ${path.slice(0, 100)} ${response.status}`;
  keep(`${at}, its headers`, JSON.stringify([...response.headers]));
  const live = method !== "HEAD" && path.includes("/events/stream");
  const text = live
    ? await firstOf(response)
    : new TextDecoder("latin1").decode(await response.arrayBuffer());
  keep(at, text);
  return { status: response.status, text, location: response.headers.get("location") ?? "" };
}

/** The first piece of a stream that does not end. */
async function firstOf(response: Response): Promise<string> {
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  const { value } = (await reader?.read()) ?? {};
  await reader?.cancel();
  return value ?? "";
}
