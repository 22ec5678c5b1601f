/** Turns that are stopped, by the client or by the model API. */
import { httpError, reply, text, toolUse } from "../../src/standin/replies.ts";
import { functionTool } from "../api/cc/server.ts";
import { matrix } from "./matrix.ts";
import { Hold } from "./model.ts";

/** Events of an answer before its second delta. */
const IN_THE_MIDDLE = 3;

matrix("an interrupt in the middle", { attached: 62, alone: 45 }, () => {
  const hold = new Hold(IN_THE_MIDDLE);
  return {
    answer: (asked) =>
      asked.endsWith("Stop it.")
        ? text("I stopped.")
        : reply({ blocks: [text("One two", { deltas: ["One", " two"] })], acts: hold.acts }),
    async play(client) {
      const posted = await client.post("turns", { input: "Count" });
      await client.reached(hold);
      await client.call("POST", `${client.path}/interrupt`, {});
      await posted.end();
      await client.idle();
      await client.turn("Stop it.");
    },
  };
});

matrix("an interrupt while tools wait", { attached: 79, alone: 59 }, () => ({
  answer: (asked) =>
    asked.endsWith("Go on.")
      ? text("Without it.")
      : [text("I look."), toolUse("look", {}), toolUse("look", { again: true })],
  async play(client) {
    await client.turn("Look", { tools: [functionTool("look", { again: { type: "boolean" } })] });
    await client.call("POST", `${client.path}/interrupt`, {});
    await client.idle();
    await client.turn("Go on.");
  },
}));

matrix("a retry after 529", { attached: 48, alone: 35 }, () => {
  let asked = 0;
  return {
    answer: () => {
      asked += 1;
      return asked === 1 ? httpError(529, { retryAfter: 2 }) : text("At last.");
    },
    async play(client) {
      await client.turn("Hello");
    },
  };
});

matrix("an interrupt that cancels the queue", { attached: 43, alone: 30 }, () => {
  const hold = new Hold(IN_THE_MIDDLE);
  return {
    answer: () =>
      reply({ blocks: [text("One two", { deltas: ["One", " two"] })], acts: hold.acts }),
    async play(client) {
      const first = await client.post("turns", { input: "Count" });
      await client.reached(hold);
      const second = await client.post("turns", { input: "And on" });
      await client.call("POST", `${client.path}/interrupt`, { cancel_queued: true });
      await first.end();
      await second.end();
      await client.idle();
    },
  };
});
