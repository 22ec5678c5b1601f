/** Jobs: each has one end, of which its webhook is told at least once. */
import { expect } from "vitest";
import { repeatedly } from "../../src/http/submit.ts";
import { text } from "../../src/standin/replies.ts";
import { matrix } from "./matrix.ts";
import { Web, withWeb } from "./web.ts";

withWeb();

const HOOK = "https://hooks.example.com";

matrix("two jobs with webhooks, one of which fails at first", { attached: 106, alone: 85 }, () => {
  const web: Web = new Web({
    "hooks.example.com": ({ href }) =>
      new Response(null, { status: href.endsWith("one") && web.count(href) === 1 ? 500 : 204 }),
  });
  return {
    answer: (asked) => text(`${asked} is done.`),
    async play(client) {
      const one = await client.job("One", `${HOOK}/one`);
      const two = await client.job("Two", `${HOOK}/two`);
      await client.idle();
      await client.platform.quiet();
      const session = await client.session();
      for (const job of [one, two]) {
        const record = await client.platform.attend(repeatedly(() => session.job(job)));
        expect(record).toMatchObject({ outcome: "completed", delivery: { state: "delivered" } });
      }
      expect(web.count(`${HOOK}/one`)).toBeGreaterThan(1);
      expect(web.count(`${HOOK}/two`)).toBeGreaterThan(0);
      await client.turn("And on");
    },
  };
});
