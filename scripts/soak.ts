/** `npm run soak`: a detached turn of three minutes that nobody reads must complete. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startStandinServer } from "../src/standin/server.ts";
import { createStandin } from "../src/standin/standin.ts";
import { Client } from "./client.ts";
import { Reader } from "./reader.ts";
import { spawnServer } from "./server-process.ts";

const MINUTES = 3;
const WORDS = 1_800;
/** How long after its time the turn may end. */
const GRACE_MS = 60_000;

const standin = createStandin({ friendly: true, pace: (MINUTES * 60_000) / WORDS });
const upstream = await startStandinServer({ standin });
const data = mkdtempSync(join(tmpdir(), "ledge-soak-"));
process.on("exit", () => rmSync(data, { recursive: true, force: true }));
const server = await spawnServer({
  data,
  variables: { ANTHROPIC_API_KEY: "sk-soak", ANTHROPIC_BASE_URL: upstream.url },
});
const client = new Client(server.url);
const { id } = await client.createSession();
await client.detachedTurn(id, { input: `Count to ${WORDS}` });
console.log(`A turn of ${MINUTES} minutes runs in session ${id}, and nobody reads it.`);

await standin.arrived(1);
const limit = MINUTES * 60_000 + GRACE_MS;
const late = setTimeout(() => finish(`the turn goes on after ${limit / 60_000} minutes`), limit);
const model = await standin.settled(0);
clearTimeout(late);
// Only now somebody comes and looks.
const reader = new Reader();
const end = await reader.visit(client.events(id, "0"), "turn.completed");
const text = String(end?.data.data?.output_text ?? "");
const losses = reader.rows.filter((row) => row.endsWith("call.completed")).length - 1;
if (model.state !== "answered") finish(`the model call ended as ${model.state}`);
else if (!text.endsWith(` ${WORDS}`)) finish(`the text ends with ${text.slice(-20)}`);
else if (losses > 0) finish(`${losses} model calls were lost on the way`);
else finish(null);

function finish(problem: string | null): void {
  console.log(problem === null ? "PASSED: the turn completed." : `FAILED: ${problem}`);
  process.exitCode = problem === null ? 0 : 1;
  void server.stop().then(() => upstream.close());
}
