/** `GET /api/models`, from which clients learn a model's context window. */
import { expect, test } from "vitest";
import { get, serverWith } from "../api/cc/server.ts";

interface Model {
  id: string;
  context_length: number;
  max_completion_tokens: number;
}

test("each model has the fields that the client reads, as whole numbers in its range", async () => {
  const response = await get("/api/models");
  expect(response.status).toBe(200);
  const { data } = await response.json<{ data: Model[] }>();
  expect(data.length).toBeGreaterThan(0);
  for (const { context_length, max_completion_tokens } of data) {
    for (const tokens of [context_length, max_completion_tokens]) {
      expect(Number.isInteger(tokens) && tokens >= 1024 && tokens <= 10_000_000).toBe(true);
    }
  }
});

test("a model is found under its API id and under its dotted provider name", async () => {
  const { data } = await (await get("/api/models")).json<{ data: Model[] }>();
  const fields = { context_length: 1_000_000, max_completion_tokens: 128_000 };
  expect(data).toContainEqual(expect.objectContaining({ id: "claude-opus-4-6", ...fields }));
  expect(data).toContainEqual(
    expect.objectContaining({ id: "anthropic/claude-opus-4.6", ...fields }),
  );
});

test("CC_API_MODELS is the list, in its order", async () => {
  const server = serverWith({ CC_API_MODELS: "claude-opus-4.6,claude-haiku-5-5" });
  const { data } = await (await server("GET", "/api/models")).json<{ data: Model[] }>();
  expect(data.map(({ id }) => id)).toEqual([
    "claude-opus-4-6",
    "anthropic/claude-opus-4.6",
    "claude-haiku-5-5",
    "anthropic/claude-haiku-5.5",
  ]);
});
