/** The model list of a server whose API is behind a real connection. */
import { createServer } from "node:http";
import { expect, onTestFinished, test } from "vitest";
import { dataFolder, startedServer } from "./support.ts";

test("a model that only the API lists is in the list, and a session takes its limits along", async () => {
  const supported = { supported: true };
  const model = {
    id: "claude-new-9",
    display_name: "Claude New 9",
    lifecycle: "active",
    max_input_tokens: 2_000_000,
    max_tokens: 9_000,
    capabilities: {
      effort: { ...supported, low: supported },
      thinking: { ...supported, types: { adaptive: supported } },
    },
  };
  const calls: unknown[] = [];
  const paths: string[] = [];
  const upstream = createServer((request, response) => {
    const [path = ""] = (request.url ?? "").split("?");
    paths.push(path);
    response.setHeader("content-type", "application/json");
    if (path === "/v1/models") {
      response.end(JSON.stringify({ data: [model], has_more: false, last_id: model.id }));
      return;
    }
    const body: Buffer[] = [];
    request.on("data", (part: Buffer) => body.push(part));
    request.on("end", () => {
      calls.push(JSON.parse(Buffer.concat(body).toString()));
      response.statusCode = 401;
      response.end(JSON.stringify({ type: "error", error: { type: "authentication_error" } }));
    });
  });
  await new Promise<void>((resolve) => void upstream.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void upstream.close());
  const address = upstream.address();
  const port = typeof address === "object" ? address?.port : 0;
  const server = await startedServer(await dataFolder(), {
    ANTHROPIC_API_KEY: "sk-test",
    ANTHROPIC_BASE_URL: `http://127.0.0.1:${port}`,
  });

  const list = await (await fetch(`${server.url}/api/models`)).json();
  expect(list).toMatchObject({
    data: expect.arrayContaining([
      expect.objectContaining({
        id: "claude-new-9",
        name: "Claude New 9",
        context_length: 2_000_000,
        max_completion_tokens: 9_000,
      }),
    ]),
  });
  const post = async (path: string, body: object): Promise<{ id: string }> => {
    const response = await fetch(server.url + path, { method: "POST", body: JSON.stringify(body) });
    return (await response.json()) as { id: string };
  };
  const { id } = await post("/api/sessions", { model: "anthropic/claude-new.9", tools: [] });
  await post(`/api/sessions/${id}/turns`, { input: "hi", effort: "max" });
  expect(calls).toEqual([
    expect.objectContaining({
      model: "claude-new-9",
      max_tokens: 9_000,
      thinking: { type: "adaptive", display: "summarized" },
      output_config: { effort: "low" },
    }),
  ]);
  expect(paths).toEqual(["/v1/models", "/v1/messages"]);
});
