/**
 * A client of the Claude CLI server: health, a conversation, a stream, the options of a call, errors.
 * It runs against the original as well as against Ledge.
 *
 *   npm start                              # in another terminal
 *   node examples/claude-cli-server.mjs
 *   BASE_URL=https://ledge.example.workers.dev API_KEY=… node examples/claude-cli-server.mjs
 */
import { ask, BASE_URL, check, run, send, shown, title } from "./client.mjs";

/** As that server's own clients read it: lines that begin with `data: `. */
async function* frames(response) {
  let rest = "";
  for await (const text of response.body.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop();
    for (const line of lines) if (line.startsWith("data: ")) yield JSON.parse(line.slice(6));
  }
}

async function conversation() {
  title("A conversation");
  const first = await ask("POST", "/v1/chat", { prompt: "My name is Ada." });
  console.log(`  > ${shown(first.result)}`);
  check(first.session_id !== "", "the answer names its session");
  check(typeof first.usage === "object", "and what it used");
  const second = await ask("POST", "/v1/chat", {
    prompt: "What is my name?",
    session_id: first.session_id,
  });
  console.log(`  > ${shown(second.result)}`);
  check(second.result.includes("Ada"), "the session remembers");
  return second.session_id;
}

async function stream(session_id) {
  title("A stream");
  const response = await send("POST", "/v1/chat/stream", { prompt: "Count to 12.", session_id });
  check(response.status === 200, "it begins");
  let text = "";
  let last = null;
  process.stdout.write("  > ");
  for await (const frame of frames(response)) {
    if (frame.type === "delta") {
      text += frame.text;
      process.stdout.write(frame.text.replace(/\s+/g, " "));
    }
    last = frame;
  }
  console.log();
  check(last?.type === "done", "it ends with done");
  check(last.result.includes("12"), "which has the whole answer");
  // The original sends no deltas at all.
  if (text !== "") check(text.trim() === last.result, "the deltas are that answer");
}

async function options(session_id) {
  title("The options of a call");
  const answer = await ask("POST", "/v1/chat", {
    prompt: "List the files.",
    session_id,
    permission_mode: "plan",
    allowed_tools: ["LS", "Glob"],
    max_budget_usd: 1,
  });
  console.log(`  > ${shown(answer.result)}`);
  check(answer.result !== "", "a call that may only look");
  const briefly = await ask("POST", "/v1/chat", {
    prompt: "Who are you?",
    system_prompt: "You are a lighthouse keeper. Answer in one sentence.",
  });
  console.log(`  > ${shown(briefly.result)}`);
  check(briefly.session_id !== session_id, "a call without a session has one of its own");
}

async function errors() {
  title("Errors");
  const empty = await ask("POST", "/v1/chat", { prompt: "" }, { status: 400 });
  check(empty.error === "prompt is required", "an empty prompt is refused");
  const session_id = "00000000-0000-0000-0000-000000000000";
  const unknown = await ask("POST", "/v1/chat", { prompt: "Hi", session_id }, { status: 502 });
  check(unknown.error === "claude CLI failed", `so is an unknown session: ${unknown.stderr}`);
}

await run("claude-cli-server", async () => {
  title(`The Claude CLI server at ${BASE_URL}`);
  const health = await ask("GET", "/v1/health");
  check(health.status === "ok", `it is well: ${health.claude_version}`);
  const session_id = await conversation();
  await stream(session_id);
  await options(session_id);
  await errors();
});
