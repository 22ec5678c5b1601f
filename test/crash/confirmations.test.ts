/** Calls that somebody is asked about: each runs once, or never. */
import "just-bash";
import { expect } from "vitest";
import type { Json, JsonObject } from "../../src/shared/content.ts";
import { text } from "../../src/standin/replies.ts";
import type { Client } from "./client.ts";
import { matrix } from "./matrix.ts";
import { answersBefore, call } from "./model.ts";
import { ONCE } from "./run.ts";
import { Web, withWeb } from "./web.ts";

withWeb();

const write = (file_path: string, content = file_path) => call("Write", { file_path, content });

const STEPS = [
  [
    write("allowed"),
    write("denied"),
    call("Bash", { command: "echo asked >> edited" }),
    write("always"),
  ],
  text("As you like."),
  // Allowed for always, so nobody is asked.
  [write("always", "and again")],
  text("Done again."),
];

/** The ids of the calls that wait, by what the model has asked for. */
async function pending(client: Client): Promise<Record<string, string>> {
  const { data } = await client.call("GET", `${client.path}/pending`);
  // As the API shows it.
  const calls = data as unknown as { id: string; arguments: string }[];
  return Object.fromEntries(
    calls.map(({ id, arguments: json }) => {
      const { file_path, command } = JSON.parse(json);
      return [file_path ?? command.split(" ").at(-1), id];
    }),
  );
}

/** Answers twice with one key, and once without: that one comes too late. */
async function confirm(client: Client, key: string, answers: JsonObject): Promise<void> {
  const ids = await pending(client);
  const confirmations = Object.entries(answers).map(
    ([name, answer]): Json => ({
      tool_call_id: ids[name] ?? "",
      // As the scripts below write them.
      ...(answer as JsonObject),
    }),
  );
  const body = { confirmations };
  const first = await (await client.post("confirmations", body, key)).end();
  await client.idle();
  const second = await (await client.post("confirmations", body, key)).end();
  expect(second).toEqual(first);
  const late = `${client.path}/confirmations`;
  await client.call("POST", late, body, { status: [409] });
}

const PAGE = "https://web.example/page";
const CHANGED = `curl -s ${PAGE} >> edited`;

matrix("questions about calls", { attached: 143, alone: 88 }, () => {
  const web = new Web({ "web.example": () => new Response("changed\n") });
  return {
    answer: (_, request) => STEPS[answersBefore(request)] ?? [],
    points: [...ONCE, "answer", "page"],
    writes: 1,
    once: { "block 1.2": "/workspace/edited" },
    async play(client) {
      await client.turn("Work");
      expect(Object.keys(await pending(client))).toEqual(["allowed", "denied", "edited", "always"]);
      await confirm(client, "one", {
        allowed: { decision: "allow" },
        denied: { decision: "deny", message: "Not this one." },
      });
      await confirm(client, "two", {
        edited: { decision: "allow", input: { command: CHANGED } },
        always: { decision: "allow_always" },
      });
      await client.turn("And again");
    },
    session: { permissions: { mode: "default" } },
    check({ files }, unknown) {
      const { "/workspace/edited": edited, ...others } = files;
      expect(Object.keys(others)).toEqual(["", "/allowed", "/always"].map(inWorkspace));
      expect(web.count(PAGE)).toBeOneOf(unknown.size > 0 ? [0, 1] : [1]);
      // Nothing but what was put in the place of the model's own command.
      expect(edited?.split(" ")[2]).toBeOneOf(unknown.size > 0 ? ["8", "0", undefined] : ["8"]);
    },
  };
});

const inWorkspace = (name: string): string => `/workspace${name}`;
