/**
 * `npm run demo`: one session that is streamed, interrupted, disconnected and killed, and one that
 * works with files and a shell, on a server and a stand-in of its own. It checks what it sees and
 * fails when anything is lost.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startStandinServer } from "../src/standin/server.ts";
import { createStandin } from "../src/standin/standin.ts";
import { Client } from "./client.ts";
import { agent } from "./demo-agent.ts";
import {
  check,
  checked,
  colored,
  lastText,
  note,
  say,
  seconds,
  showText,
  title,
  wholeTexts,
} from "./demo-output.ts";
import { Reader } from "./reader.ts";
import { type ServerProcess, spawnServer } from "./server-process.ts";

/** Milliseconds between two words of the stand-in. */
const PACE_MS = 20;
const LIMIT_MS = 90_000;
/** A connection is broken, or a turn stopped, after so many deltas. */
const MIDDLE = 25;

const WEATHER = {
  type: "function",
  function: {
    name: "get_weather",
    description: "The weather in a city.",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
};

const data = mkdtempSync(join(tmpdir(), "ledge-demo-"));
process.on("exit", () => rmSync(data, { recursive: true, force: true }));
// The server ends with this process, whatever ends it.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(130));
setTimeout(() => finish(`it took longer than ${LIMIT_MS / 1000} s`), LIMIT_MS).unref();

const began = performance.now();
const upstream = await startStandinServer({
  standin: createStandin({ friendly: true, pace: PACE_MS }),
});
const variables = { ANTHROPIC_API_KEY: "sk-demo", ANTHROPIC_BASE_URL: upstream.url };
let server: ServerProcess | null = null;

try {
  title("A server and a session");
  server = await spawnServer({ data, variables });
  const client = new Client(server.url);
  note(`workerd listens on ${server.url}; the model is a stand-in`);
  const { id } = await client.createSession({ system_prompt: "Be brief." });
  check(id.startsWith("sess_"), `session ${id}`);

  await toolCall(client, id);
  await interrupt(client, id);
  await disconnect(client, id);
  await kill(client, id);
  await everything(client, id);
  await agent(client);
  finish(null);
} catch (error) {
  finish(error instanceof Error ? error.message : "unknown failure");
}

async function toolCall(client: Client, id: string): Promise<void> {
  title("A streamed turn with a tool call that this client answers");
  const reader = new Reader();
  const question = "Use the tool get_weather: how is it in Oslo?";
  say(question);
  await reader.visit(client.streamTurn(id, { input: question, tools: [WEATHER] }), "done");
  showText(reader);
  const [call] = reader.view.pending;
  if (!call) throw new Error("the model called no tool");
  check(call.function.name === "get_weather", `it asks for ${call.function.arguments}`);
  const result = "4 °C and rain";
  say(`[result of get_weather] ${result}`);
  const results = { results: [{ tool_call_id: call.id, content: result }] };
  await reader.visit(client.streamResults(id, results), "done");
  showText(reader);
  check(wholeTexts(reader) === 2, `${reader.deltas.length} deltas join to the 2 texts`);
  check(lastText(reader).includes(result), "the answer contains the result");
}

async function interrupt(client: Client, id: string): Promise<void> {
  title("An interrupt in the middle of a long answer");
  const reader = new Reader();
  say("Count to 500");
  const stream = client.streamTurn(id, { input: "Count to 500" });
  await reader.until(stream, "assistant.delta", () => reader.deltas.length === MIDDLE);
  const { interrupted } = await client.interrupt(id);
  check(interrupted, `stopped after ${MIDDLE} deltas`);
  const done = await reader.visit(stream, "done");
  showText(reader);
  check(done?.data.status === "interrupted", "the stream ends with done: interrupted");
  check(wholeTexts(reader) === 1, `the ${lastText(reader).length} characters it saw are kept`);
}

async function disconnect(client: Client, id: string): Promise<void> {
  title("A connection that breaks in mid-message");
  const reader = new Reader();
  say("Count to 150");
  await reader.visit(
    client.streamTurn(id, { input: "Count to 150" }),
    "assistant.delta",
    () => reader.deltas.length === MIDDLE,
  );
  const [left, seen] = [reader.cursor, reader.deltas.join("").length];
  note(`gone after ${seen} characters, at cursor ${left}; the turn goes on without a client`);
  await new Promise((resolve) => setTimeout(resolve, 700));
  // A new stream, as a browser's EventSource would open it.
  await reader.visit(client.events(id, left), "turn.completed");
  showText(reader);
  const missed = reader.deltas.join("").length - seen;
  note(`back with Last-Event-ID: ${left}, and got the other ${missed} characters`);
  check(wholeTexts(reader) === 1, `${reader.deltas.length} deltas join to the text, none twice`);
  check(lastText(reader).endsWith(" 149 150"), "the text is complete");
}

async function kill(client: Client, id: string): Promise<void> {
  title("SIGKILL to the whole server in mid-message");
  const reader = new Reader();
  say("Count to 100");
  const stream = client.streamTurn(id, { input: "Count to 100" });
  await reader.until(stream, "assistant.delta", () => reader.deltas.length === MIDDLE);
  await server?.kill();
  await reader.visit(stream, "done");
  note(`killed after ${MIDDLE} deltas, at cursor ${reader.cursor}`);
  const { port } = new URL(client.url);
  server = await spawnServer({ data, variables, port: Number(port) });
  const back = performance.now();
  const events = client.events(id, reader.cursor);
  await reader.until(events, "assistant.delta");
  note(`started again on the same data; ${seconds(back)} later the turn writes again`);
  const end = await reader.visit(events, "turn.completed");
  showText(reader);
  const lost = reader.frames.filter(({ data }) => data.data?.end === "lost").length;
  check(lost === 1, "the lost attempt is reported once, and its preview dropped");
  check(wholeTexts(reader) === 1, "the deltas of the second attempt join to the text");
  check(end?.data.data?.output_text === lastText(reader), "which is the turn's result");
}

async function everything(client: Client, id: string): Promise<void> {
  title("All of it, read by a client that comes only now");
  const { last_event_id } = await client.session(id);
  const reader = new Reader();
  const isLast = ({ id }: { id: string }) => id === String(last_event_id);
  await reader.visit(client.events(id, "0"), "turn.completed", isLast);
  const ids = reader.frames.map((frame) => Number(frame.id));
  const rising = ids.every((seq, i) => i === 0 || seq > (ids[i - 1] ?? 0));
  check(rising, `${ids.length} events, each once and in order`);
  const ends = reader.frames.flatMap(({ event }) => /^turn\.(\w+ed)$/.exec(event)?.[1] ?? []);
  const outcomes = ends.filter((end) => end !== "started" && end !== "resumed");
  check(
    outcomes.join() === "completed,completed,interrupted,completed,completed",
    `every message has one outcome: ${outcomes.join(", ")}`,
  );
}

function finish(problem: string | null): void {
  const result = problem === null ? `PASSED: ${checked()} checks` : `FAILED: ${problem}`;
  console.log(`\n${colored(problem === null ? 32 : 31, result)} (${seconds(began)})`);
  void Promise.all([server?.stop(), upstream.close()]).then(() =>
    process.exit(problem === null ? 0 : 1),
  );
}
