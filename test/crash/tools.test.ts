/** Turns that stop for the client's tools. */
import { text, toolUse } from "../../src/standin/replies.ts";
import { functionTool } from "../api/cc/server.ts";
import { matrix } from "./matrix.ts";

matrix("two parallel client tools", { attached: 73, alone: 54 }, () => ({
  answer: (asked) =>
    asked === "How is it?"
      ? [text("I look."), toolUse("weather", { city: "Oslo" }), toolUse("clock", {})]
      : text("Cold, and late."),
  async play(client) {
    const tools = [functionTool("weather", { city: { type: "string" } }), functionTool("clock")];
    await client.turn("How is it?", { tools });
    await client.results({ clock: "23:00", weather: "-5" });
  },
}));

const STEPS = 5;

matrix("a round of five steps", { attached: 152, alone: 111 }, () => ({
  answer(asked) {
    const step = asked === "Count" ? 1 : Number(asked) + 1;
    return step < STEPS ? toolUse("count", { step }) : text(`Counted to ${step}.`);
  },
  async play(client) {
    await client.turn("Count", { tools: [functionTool("count", { step: { type: "number" } })] });
    for (let step = 1; step < STEPS; step++) await client.results({ count: String(step) });
  },
}));
