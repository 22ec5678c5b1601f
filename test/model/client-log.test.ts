import { expect, it, vi } from "vitest";
import { openStream } from "../../src/model/client.ts";
import { encodeRequest } from "../../src/model/request-body.ts";
import { CallFailed } from "../../src/model/retry.ts";
import { answer } from "./streams.ts";

// In a file of its own: the SDK keeps hold of the console's functions from its first use on.
it("a failed call writes nothing of what the model said to the log", async () => {
  const levels = ["debug", "error", "info", "log", "warn"] as const;
  const spies = levels.map((level) => vi.spyOn(console, level));
  const stream = openStream(
    { apiKey: "key", fetch: async () => answer('event: message_start\ndata: {"secret":\n\n') },
    encodeRequest({
      params: { model: "m", max_tokens: 1, messages: [], stream: true },
      betas: [],
      notices: [],
    }),
    { signal: new AbortController().signal },
  );
  await expect(stream.next()).rejects.toBeInstanceOf(CallFailed);
  for (const spy of spies) expect(spy).not.toHaveBeenCalled();
});
