/** A turn of three model calls with two rounds of a client's tool, against the calls alone. */
import { type Frame, frames, now } from "./support/client.ts";
import { startLedge } from "./support/ledge.ts";
import { LOOK, prompt, startModelProcess } from "./support/model.ts";
import { paired, type Result } from "./support/results.ts";
import { createSession, DirectClient } from "./support/turns.ts";

const RUNS = 40;
const SCRIPT = { words: 50, rounds: 2, pace: 0 };
const RESULT = "42";
const TOOL = {
  type: "function",
  function: { name: LOOK.name, description: LOOK.description, parameters: LOOK.input_schema },
};

export default async function toolTurn(): Promise<Result> {
  const model = await startModelProcess();
  const ledge = await startLedge({ model: model.url });
  try {
    const through: number[] = [];
    const direct: number[] = [];
    for (let n = -3; n < RUNS; n++) {
      const session = await createSession(ledge.url);
      const client = new DirectClient(model.url);
      const began = now();
      await turnWithTools(`${ledge.url}/api/sessions/${session}`);
      const between = now();
      await client.toolTurn(SCRIPT, RESULT);
      // The first ones warm both ways up.
      if (n < 0) continue;
      through.push(between - began);
      direct.push(now() - between);
    }
    const what = "three calls, two rounds of a client tool, new session each";
    return { name: "tool-turn", figures: [paired(what, through, "direct", direct)], notes: [] };
  } finally {
    await ledge.close();
    await model.close();
  }
}

async function turnWithTools(session: string): Promise<void> {
  const input = { input: prompt(SCRIPT), tools: [TOOL], stream: true };
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
