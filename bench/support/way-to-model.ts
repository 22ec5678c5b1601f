/** What happens between a client's request and the model's first byte: calls and commits. */
import { createGate, type Gate } from "../../src/standin/gate.ts";
import { json } from "./client.ts";
import { COUNTING_WORKER, startLedge } from "./ledge.ts";
import { startModel } from "./model.ts";
import type { Figure } from "./results.ts";
import { createSession, turn } from "./turns.ts";
import { commitsIn, logsOf } from "./wal.ts";

interface Call {
  what: string;
  began: number;
  ended: number | null;
}

/** Counts while the model holds the request back, so that nothing later is counted. */
export async function beforeModel(): Promise<{ figures: Figure[]; notes: string[] }> {
  let gate: Gate | undefined;
  const model = await startModel(() => gate);
  const ledge = await startLedge({ model: model.url, worker: COUNTING_WORKER });
  try {
    const session = await createSession(ledge.url);
    await turn(ledge.url, session, { words: 5 });
    await json(`${ledge.url}/bench/counters`);
    const [log = ""] = await logsOf(ledge.data, "Session");
    const before = await commitsIn(log);
    gate = createGate();
    const running = turn(ledge.url, session, { words: 5 });
    await gate.waitUntilReached();
    const commits = (await commitsIn(log)) - before;
    const { calls } = await json<{ calls: Call[] }>(`${ledge.url}/bench/counters`);
    gate.open();
    await running;
    const between = calls.filter(({ what }) => what !== "object → model");
    return {
      figures: [
        {
          what: "hops one after the other before the model",
          unit: "",
          value: longestChain(between),
        },
        {
          what: "calls between Worker and objects before the model",
          unit: "",
          value: between.length,
        },
        { what: "commits of the session before the model", unit: "", value: commits },
      ],
      notes: [`Before the model's first byte:\n${calls.map(shown).join("\n")}`],
    };
  } finally {
    await ledge.close();
    await model.close();
  }
}

const shown = ({ what, began, ended }: Call): string =>
  `  ${what} (began ${began}, ${ended === null ? "open" : `ended ${ended}`})`;

/** The most calls of which each began after the one before had ended. */
function longestChain(calls: readonly Call[]): number {
  const depth = (call: Call): number =>
    1 +
    Math.max(0, ...calls.filter(({ ended }) => ended !== null && ended < call.began).map(depth));
  return Math.max(0, ...calls.map(depth));
}
