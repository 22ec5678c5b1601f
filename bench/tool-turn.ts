/** Turns of three model calls with two tools, built-in ones and a client's, against the calls alone. */
import { type Frame, frames, now } from "./support/client.ts";
import { startLedge } from "./support/ledge.ts";
import { LOOK, prompt, type Script, startModelProcess } from "./support/model.ts";
import { type Figure, paired, type Result } from "./support/results.ts";
import { createSession, DirectClient } from "./support/turns.ts";

const RUNS = 40;
const WARM_UP = 3;
const RESULT = "42";

const FILE = { file_path: "notes/a.txt" };
const BUILTIN: Script = {
  words: 50,
  calls: [
    { name: "Write", input: { ...FILE, content: "What is to be kept.\n".repeat(20) } },
    { name: "Read", input: FILE },
  ],
};
/** As the direct client offers them. */
const OFFERED = ["Write", "Read"].map((name) => ({
  name,
  input_schema: { type: "object", properties: { file_path: {}, content: {} } },
}));

const CLIENT: Script = { words: 50, rounds: 2, pace: 0 };
const TOOL = {
  type: "function",
  function: { name: LOOK.name, description: LOOK.description, parameters: LOOK.input_schema },
};

export default async function toolTurn(): Promise<Result> {
  const model = await startModelProcess();
  const ledge = await startLedge({ model: model.url });
  try {
    const compare = async (
      what: string,
      through: (session: string) => Promise<void>,
      direct: (client: DirectClient) => Promise<void>,
    ): Promise<Figure> => {
      const runs: number[] = [];
      const others: number[] = [];
      for (let n = -WARM_UP; n < RUNS; n++) {
        const session = await createSession(ledge.url);
        const client = new DirectClient(model.url);
        const began = now();
        await through(`${ledge.url}/api/sessions/${session}`);
        const between = now();
        await direct(client);
        // The first ones warm both ways up.
        if (n < 0) continue;
        runs.push(between - began);
        others.push(now() - between);
      }
      return paired(what, runs, "direct", others);
    };
    const figures = [
      await compare(
        "three calls, two built-in tools (Write, Read), new session each",
        turnWithBuiltins,
        (client) => client.toolTurn(BUILTIN, RESULT, OFFERED),
      ),
      await compare(
        "three calls, two rounds of a client tool, new session each",
        turnWithClientTools,
        (client) => client.toolTurn(CLIENT, RESULT),
      ),
    ];
    return { name: "tool-turn", figures, notes: [] };
  } finally {
    await ledge.close();
    await model.close();
  }
}

async function turnWithBuiltins(session: string): Promise<void> {
  const read = await frames(`${session}/turns`, { input: prompt(BUILTIN), stream: true });
  ended(read);
  const done = read.filter(
    ({ event, data }) => event === "tool.completed" && data.data?.status === "ok",
  );
  if (done.length !== 2) throw new Error(`${done.length} tools have run`);
}

async function turnWithClientTools(session: string): Promise<void> {
  const input = { input: prompt(CLIENT), tools: [TOOL], stream: true };
  let read = await frames(`${session}/turns`, input);
  for (;;) {
    const calls = read.filter(({ event }) => event === "tool_call.requested");
    if (calls.length === 0) return ended(read);
    const results = calls.map(({ data }) => ({
      tool_call_id: data.data?.id,
      content: RESULT,
    }));
    read = await frames(`${session}/tool-results`, { results, tools: [TOOL], stream: true });
  }
}

function ended(read: readonly Frame[]): void {
  const last = read.at(-1);
  if (last?.event !== "done") throw new Error(`the turn ended with ${JSON.stringify(last?.data)}`);
}
