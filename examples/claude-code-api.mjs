/**
 * A walk through claude-code-api: health, templates, sessions, a conversation, its history, another
 * system prompt for one message, the list, tokens, usage, the audit, and the end of it.
 *
 *   npm start                              # in another terminal
 *   node examples/claude-code-api.mjs
 *   BASE_URL=https://ledge.example.workers.dev API_KEY=… node examples/claude-code-api.mjs
 */
import { ask, BASE_URL, check, run, shown, title } from "./client.mjs";

const API = "/api/v1";
const names = ["walk-through", "walk-through-review"].map((name) => `${name}-${Date.now()}`);
const [NAME, REVIEW] = names;

async function service() {
  title(`claude-code-api at ${BASE_URL}`);
  const { status, checks } = await ask("GET", `${API}/health`);
  check(status === "ok", `it is well: ${JSON.stringify(checks)}`);
  const { data: templates } = await ask("GET", `${API}/templates`);
  check(Object.keys(templates).length >= 12, `templates: ${Object.keys(templates).join(", ")}`);
  const { data: reviewer } = await ask("GET", `${API}/templates/code-reviewer`);
  check(reviewer.system_prompt !== "", `one of them: ${shown(reviewer.system_prompt, 60)}`);
}

async function sessions() {
  title("Sessions");
  const created = await ask(
    "POST",
    `${API}/sessions`,
    { name: NAME, system_prompt: "Be brief." },
    { status: 201 },
  );
  check(created.data.name === NAME, "one with a prompt of its own");
  check(created.data.status === "pending", "which has not begun");
  const review = { name: REVIEW, template: "code-reviewer" };
  const { data } = await ask("POST", `${API}/sessions`, review, { status: 201 });
  check(data.effort === "high", "one from a template");
}

async function conversation() {
  title("A conversation");
  const chat = (message, more = {}) =>
    ask("POST", `${API}/sessions/${NAME}/chat`, { message, ...more });
  const first = await chat("My name is Ada.");
  console.log(`  > ${shown(first.data.content)}`);
  check(first.data.num_turns >= 1, `it took ${first.data.duration_ms} ms and $${first.data.cost}`);
  const second = await chat("What is my name?");
  console.log(`  > ${shown(second.data.content)}`);
  check(second.data.content.includes("Ada"), "it remembers");
  const pirate = await chat("Say hello.", { system: "Answer as a pirate would.", effort: "low" });
  console.log(`  > ${shown(pirate.data.content)}`);
  check(pirate.data.session_id === first.data.session_id, "a system prompt for one message");

  const history = await ask("GET", `${API}/sessions/${NAME}/history`);
  const roles = history.data.map(({ role }) => role).join(" ");
  check(roles === "user assistant user assistant user assistant", `the history: ${roles}`);
  check(history.data[0].content === "My name is Ada.", "which begins with the first message");
  const { data: session } = await ask("GET", `${API}/sessions/${NAME}`);
  check(session.status === "active" && session.total_turns >= 3, "the session has counted along");
}

async function figures() {
  title("Figures");
  const { data: listed, pagination } = await ask("GET", `${API}/sessions?page=1&limit=50`);
  const found = names.every((name) => listed.some((session) => session.name === name));
  check(found, `both are in the list of ${pagination.total}`);
  const counted = await ask("POST", `${API}/tokens/count`, { text: "How many tokens is this?" });
  check(counted.data.estimated_tokens > 0, `about ${counted.data.estimated_tokens} tokens`);
  const usage = await ask("GET", `${API}/usage`);
  check(usage.data.turns >= 3, `usage: ${usage.data.turns} turns for $${usage.data.cost}`);
  const audit = await ask("GET", `${API}/audit?limit=10`);
  const mine = audit.data.find(({ session_name }) => session_name === NAME);
  check(
    mine !== undefined,
    `the audit: ${mine.role} said ${JSON.stringify(shown(mine.content, 40))}`,
  );
}

async function end() {
  title("The end");
  for (const name of names) {
    await ask("DELETE", `${API}/sessions/${name}`, undefined, { status: 204 });
    const { detail } = await ask("GET", `${API}/sessions/${name}`, undefined, { status: 404 });
    check(detail === "Session not found", `${name} is gone`);
  }
}

await run("claude-code-api", async () => {
  await service();
  await sessions();
  await conversation();
  await figures();
  await end();
});
