/** Images that the model looks at in the session's files: as many as a request can carry, and no more. */
import { runInDurableObject } from "cloudflare:test";
import { expect, test } from "vitest";
import { text, toolUse } from "../../../src/standin/replies.ts";
import { put, refused } from "./files-support.ts";
import {
  imageBlock,
  modelCall,
  newSession,
  objectOf,
  pngBytes,
  post,
  standin,
  withStandin,
} from "./server.ts";

withStandin();

const LARGE = 3_600_000;

const look = (name: string) => toolUse("Read", { file_path: name });

const stored = async (session: string): Promise<number> =>
  runInDurableObject(await objectOf(session), (_, { storage }) => {
    const query = "SELECT count(DISTINCT sha) AS n FROM media";
    return storage.sql.exec<{ n: number }>(query).one().n;
  });

test("images above 20 MB together are not shown, the model is told, and the session goes on", async () => {
  const session = await newSession();
  const names = Array.from({ length: 7 }, (_, i) => `${i}.png`);
  for (const name of names) {
    const bytes = pngBytes(name === "6.png" ? 1_000_000 : LARGE);
    expect((await put(session, name, bytes)).status).toBe(201);
  }
  standin.script(names.map(look), text("Seen."), text("Going on."));
  const turn = await post(`${session}/turns`, { input: "Look at all of them." });
  expect(await turn.json()).toMatchObject({ outcome: "completed", output_text: "Seen." });
  const shown = modelCall(1).messages.at(-1)?.content ?? [];
  // The last one is small enough to be shown.
  expect(shown.map(({ is_error = false }) => is_error)).toEqual(
    names.map((name) => name === "5.png"),
  );
  expect(shown[0]).toMatchObject({ content: [{ type: "image" }] });
  expect(shown[5]).toMatchObject({
    content: [
      {
        type: "text",
        text: "The images and documents of a conversation may hold 20000000 bytes together; this one holds 18000000 and this result adds 3600000. So it was not shown. Go on without it, look at a smaller one, or tell the user that a new session can show it.",
      },
    ],
  });
  expect(await stored(session)).toBe(6);
  const image = await post(`${session}/turns`, { input: [imageBlock(pngBytes(2_000_000))] });
  expect(await refused(image)).toEqual([413, "media_limit"]);
  const next = await post(`${session}/turns`, { input: "Go on." });
  expect(await next.json()).toMatchObject({ outcome: "completed", output_text: "Going on." });
});

test("an image that is too large for the model is not shown", async () => {
  const session = await newSession();
  expect((await put(session, "large.png", pngBytes(4_000_000))).status).toBe(201);
  standin.script(look("large.png"), text("Too large."));
  await post(`${session}/turns`, { input: "Look." });
  expect(modelCall(1).messages.at(-1)?.content).toMatchObject([
    { is_error: true, content: [{ text: expect.stringContaining("can be shown up to 3750000") }] },
  ]);
});
