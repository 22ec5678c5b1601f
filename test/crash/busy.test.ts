/** Messages that come while a turn runs. */
import { reply, text, toolUse } from "../../src/standin/replies.ts";
import { functionTool } from "../api/cc/server.ts";
import { matrix } from "./matrix.ts";
import { Hold } from "./model.ts";

const IN_THE_MIDDLE = 3;

matrix("a queued second turn, and a third that is cancelled", { attached: 100, alone: 63 }, () => {
  const hold = new Hold(IN_THE_MIDDLE);
  return {
    answer: (asked) =>
      asked === "One"
        ? reply({ blocks: [text("First.", { deltas: ["Fir", "st."] })], acts: hold.acts })
        : text("Second."),
    async play(client) {
      const first = await client.post("turns", { input: "One" });
      await client.reached(hold);
      const second = await client.post("turns", { input: "Two" });
      const third = await client.post("turns", { input: "Three" });
      const queue = await client.call("GET", `${client.path}/queue`);
      // As the API shows it.
      const waiting = queue.data as { id: string }[];
      await client.call("DELETE", `${client.path}/queue/${waiting.at(-1)?.id}`);
      // Its response ends now; alone it is read when the session rests.
      if (third.stream) await third.end();
      await client.attached();
      await client.call("PATCH", client.path, { title: "Three less one" });
      await client.open(hold);
      for (const posted of [first, second]) await posted.end();
      if (!third.stream) await third.end();
      await client.idle();
    },
  };
});

matrix("a steer", { attached: 91, alone: 57 }, () => {
  const hold = new Hold(IN_THE_MIDDLE);
  return {
    answer: (asked) =>
      asked === "Go"
        ? reply({ blocks: [toolUse("go", {}, { deltas: ["{", "}"] })], acts: hold.acts })
        : text(`I heard: ${asked}`),
    async play(client) {
      const first = await client.post("turns", { input: "Go", tools: [functionTool("go")] });
      await client.reached(hold);
      const steer = await client.post("turns", { input: "Slowly", on_busy: "steer" });
      await client.open(hold);
      await first.end();
      await client.results({ go: "gone" });
      await steer.end();
    },
  };
});
