/** Secrets that claude-code-api adds: those of webhooks, and keys that clients take for their label. */
import { expect, test } from "vitest";
import { text } from "../../src/standin/replies.ts";
import { standin, withStandin } from "../api/cc/server.ts";
import { once } from "../api/code/client.ts";
import { HOOK } from "../support/receiver.ts";
import { type Echo, echoing } from "./echoes.ts";
import {
  answers,
  ask,
  forbid,
  KEYS,
  leaks,
  leaksIn,
  linesOfLog,
  outputs,
  plant,
  world,
} from "./planted.ts";
import { tablesOfAccount, tablesOfSession } from "./tables.ts";

withStandin();
plant();

interface Job {
  id: string;
  delivery: { id: string; state: string; last_error: string | null } | null;
}

const dataOf = <T>({ text }: { text: string }): T => (JSON.parse(text) as { data: T }).data;

/** What receivers and connections may answer that shows what they were sent, and where. */
const RECEIVERS: Record<string, Echo> = {
  "410 that repeats it": (sent) => new Response(sent, { status: 410, headers: echoing(sent) }),
  "a redirect": (sent) => new Response(null, { status: 307, headers: echoing(sent) }),
  "500 as a page": (sent) =>
    new Response(`<p>${sent}</p>`, { status: 500, headers: echoing(sent) }),
  "no answer": (sent) => {
    throw new TypeError(`cannot connect with ${sent}`);
  },
};

test.each(Object.entries(RECEIVERS))(
  "the secret of webhooks goes nowhere, also where the receiver answers with %s",
  async (_, hook) => {
    const { id: session } = JSON.parse((await ask("POST", "/api/sessions", {})).text) as {
      id: string;
    };
    const path = `/api/v1/sessions/${session}`;
    const token = `PLANTED-token-of-a-webhook-${crypto.randomUUID()}`;
    const webhook_url = `${HOOK}?token=${token}`;
    answers.hook = hook;
    standin.script(text("Done."));
    const { id } = dataOf<Job>(await ask("POST", `${path}/jobs`, { message: "Work", webhook_url }));
    const read = async () => dataOf<Job>(await ask("GET", `${path}/jobs/${id}`));
    const { delivery } = await once(read, (job) => (job.delivery?.last_error ?? null) !== null);
    expect(delivery?.last_error).not.toContain("PLANTED");
    await ask("POST", `${path}/jobs/${id}/redeliver`);
    await once(read, (job) => job.delivery?.last_error != null && job.delivery.id !== delivery?.id);
    await ask("GET", `${path}/jobs`);
    await ask("GET", `/api/sessions/${session}/export`);
    const sent = outputs.filter(({ where }) => where === "a webhook");
    expect(sent.at(-1)?.text).toContain('"webhook-signature","v1,');
    expect(leaks()).toEqual([]);
    const tables = [
      ...Object.values(await tablesOfSession(world.account, session)),
      ...Object.values(await tablesOfAccount(world.account)),
    ];
    expect(leaksIn([{ where: "the tables", text: tables.join("\n") }])).toEqual([]);
    // The address is the client's own, and is shown to it. Nobody else gets to know it.
    const others = [linesOfLog(), ...Object.values(await tablesOfAccount(world.account))];
    for (const one of others) expect(one).not.toContain(token);
    expect(linesOfLog()).toContain('\\"event\\":\\"webhook\\"');
    // What would be tried again later is given up.
    expect((await ask("DELETE", path)).status).toBe(204);
    answers.hook = null;
  },
);

test("an address with a password is refused without it", async () => {
  const password = "PLANTED-password-of-a-webhook";
  forbid("the password of a webhook", password);
  const webhook_url = `https://user:${password}@hooks.example.com/`;
  const body = { message: "Work", webhook_url };
  expect((await ask("POST", `${world.code}/jobs`, body)).status).toBe(422);
  await ask("GET", `${world.code}/jobs`);
  await ask("GET", `/api/sessions/${world.codeId}/export`);
  expect(leaks()).toEqual([]);
});

test("a key that is sent as a label is not kept and not shown", async () => {
  const planted = { authorization: `Bearer ${KEYS.client}` };
  for (const [account, key, headers] of [
    [world.account, world.key.text, world.key.headers],
    [world.account, world.key.text, { "x-api-key": world.key.text, authorization: "Bearer none" }],
    ["planted", KEYS.client, planted],
    ["planted", KEYS.client, { "x-api-key": KEYS.client, authorization: "" }],
    // Another key than that with which one asks.
    ["planted", world.key.text, planted],
    [world.account, KEYS.client, world.key.headers],
  ] as const) {
    const name = `label-${crypto.randomUUID()}`;
    const path = `/api/v1/sessions/${name}`;
    const made = await ask("POST", "/api/v1/sessions", { name, user_id: key }, headers);
    expect(made.status).toBe(201);
    const { user_id } = dataOf<{ user_id: string }>(made);
    expect(user_id).toBe(account);
    standin.script(text("Hello."));
    expect((await ask("POST", `${path}/chat`, { message: "Hi" }, headers)).status).toBe(200);
    for (const list of ["sessions", "usage", "audit"]) {
      const address = `/api/v1/${list}?user_id=${encodeURIComponent(key)}`;
      const listed = await ask("GET", address, undefined, headers);
      expect(listed.status).toBe(200);
      expect(listed.text).toContain(`"user_id":"${account}"`);
    }
    const id = made.location.replace("/api/v1/sessions/", "");
    const tables = [
      ...Object.values(await tablesOfSession(account, id)),
      ...Object.values(await tablesOfAccount(account)),
    ];
    expect(tables.join("")).toContain(name);
    expect(leaksIn([{ where: "the tables", text: tables.join("\n") }])).toEqual([]);
  }
  expect(leaks()).toEqual([]);
});
