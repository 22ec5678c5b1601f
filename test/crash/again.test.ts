/** Requests that come twice, and a session that goes. */
import { expect } from "vitest";
import { reply, text } from "../../src/standin/replies.ts";
import { imageBlock, pngBytes } from "../api/cc/server.ts";
import { matrix } from "./matrix.ts";
import { Hold } from "./model.ts";

const IN_THE_MIDDLE = 3;
/** More than a row holds itself. */
const picture = imageBlock(pngBytes(20_000));

matrix("a replayed POST, with a picture", { attached: 53, alone: 38 }, () => {
  const hold = new Hold(IN_THE_MIDDLE);
  return {
    answer: () => reply({ blocks: [text("A cat.", { deltas: ["A ", "cat."] })], acts: hold.acts }),
    async play(client) {
      const body = { input: [{ type: "text", text: "What is it?" }, picture] };
      const first = await client.post("turns", body, "look");
      await client.reached(hold);
      const second = await client.post("turns", body, "look");
      await client.open(hold);
      await first.end();
      await second.end();
      await client.idle();
      await (await client.post("turns", body, "look")).end();
      expect(await client.call("GET", client.path)).toMatchObject({ turn_count: 1 });
    },
  };
});

matrix("a deletion", { attached: 48, alone: 33 }, () => {
  const hold = new Hold(IN_THE_MIDDLE);
  return {
    answer: () =>
      reply({ blocks: [text("One two", { deltas: ["One", " two"] })], acts: hold.acts }),
    deletes: true,
    async play(client) {
      await client.post("turns", { input: "Count" });
      await client.reached(hold);
      await client.post("turns", { input: "And on" });
      await client.attached();
      await client.call("DELETE", client.path);
      for (const stream of client.responses) {
        await client.platform.until(() => stream.ended, "the response ends");
      }
    },
  };
});
