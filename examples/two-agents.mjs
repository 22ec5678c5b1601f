/**
 * Two agents that talk to each other through claude-code-api: what one says is what the other is asked.
 *
 *   npm start                              # in another terminal
 *   node examples/two-agents.mjs
 *   ROUNDS=5 TOPIC="Is a hot dog a sandwich?" node examples/two-agents.mjs
 */
import { ask, BASE_URL, check, run, shown, title } from "./client.mjs";

const SESSIONS = "/api/v1/sessions";
const ROUNDS = Number(process.env.ROUNDS || 3);
const TOPIC = process.env.TOPIC || "Should a small team write its own build tool?";

const AGENTS = [
  ["optimist", "You find reasons for what is proposed. Two sentences at most."],
  ["sceptic", "You find reasons against what is proposed. Two sentences at most."],
].map(([role, system_prompt]) => ({ role, name: `${role}-${Date.now()}`, system_prompt }));

await run("two-agents", async () => {
  title(`Two agents at ${BASE_URL}: ${TOPIC}`);
  for (const { name, system_prompt } of AGENTS) {
    await ask("POST", SESSIONS, { name, system_prompt, allowed_tools: "Read" }, { status: 201 });
  }
  let message = TOPIC;
  for (let round = 0; round < ROUNDS; round++) {
    for (const { role, name } of AGENTS) {
      const { data } = await ask("POST", `${SESSIONS}/${name}/chat`, { message });
      console.log(`  ${role}: ${shown(data.content, 300)}`);
      if (data.content === "") throw new Error(`the ${role} has nothing to say`);
      message = data.content;
    }
  }
  const histories = [];
  for (const { role, name } of AGENTS) {
    const { data } = await ask("GET", `${SESSIONS}/${name}/history`);
    check(data.length === 2 * ROUNDS, `the ${role} remembers ${data.length} messages`);
    histories.push(data);
  }
  const [optimist, sceptic] = histories;
  check(sceptic[0].content === optimist[1].content, "what one said is what the other was asked");
  for (const { name } of AGENTS) {
    await ask("DELETE", `${SESSIONS}/${name}`, undefined, { status: 204 });
  }
});
