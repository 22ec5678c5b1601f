/** Turns that need nothing of the client. */
import { reply, text, thinking } from "../../src/standin/replies.ts";
import { matrix } from "./matrix.ts";
import { Hold } from "./model.ts";

matrix("plain text, and once more as JSON", { attached: 79, alone: 57 }, () => ({
  answer: (asked) => text(`${asked} to you.`, { deltas: [asked, " to you."] }),
  async play(client) {
    await client.turn("Hello");
    await client.answer("Good day");
    // No alarm is left, so what follows has to set its own.
    await client.platform.quiet();
    await client.call("PATCH", client.path, { title: "Greetings" });
    await client.idle();
  },
}));

/** Events of the answer before its fourth delta. */
const IN_THE_TEXT = 9;

matrix("thinking, and a restart before the next turn", { attached: 87, alone: 61 }, () => {
  const hold = new Hold(IN_THE_TEXT);
  return {
    answer: (asked) =>
      asked === "Think"
        ? reply({
            blocks: [
              thinking("Hm, what?", { deltas: ["Hm,", " what?"] }),
              text("Well, yes. Indeed.", { deltas: ["Well,", " yes.", " Indeed."] }),
            ],
            acts: hold.acts,
          })
        : [thinking("Again?"), text("Yes again.")],
    async play(client) {
      const posted = await client.post("turns", { input: "Think" });
      await client.reached(hold);
      await client.tick(30);
      await client.tick(250);
      await client.open(hold);
      await posted.end();
      await client.idle();
      await client.restart();
      await client.turn("And again");
    },
  };
});
