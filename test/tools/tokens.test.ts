/**
 * Every call pays for the tools' texts, so they have a limit. Of the API's own tools only the
 * definitions are ours; what the API adds to the prompt for them is not known here.
 */
import { expect, test } from "vitest";
import { SERVER_TOOLS } from "../../src/shared/tools.ts";
import { digestRequest, sumTokens } from "../../src/standin/tokens.ts";
import type { JsonObject } from "../../src/standin/wire.ts";
import { builtinToolset, harnessOf } from "../../src/tools/registry.ts";
import { offeredServerTools } from "../../src/tools/server-tools.ts";

const LIMIT = 3_500;
/** English and JSON come to 3.5 to 4 characters per token; the larger number counts. */
const CHARACTERS_PER_TOKEN = 3.5;

test("the system text and all tools stay under 3,500 tokens", () => {
  const offered = offeredServerTools(SERVER_TOOLS, {
    mode: "bypassPermissions",
    allow: [],
    ask: [],
    deny: [],
  });
  const toolset = builtinToolset(offered);
  const tools = toolset.list ?? [];
  const harness = harnessOf(toolset);
  // The stand-in reads the same JSON that the client sends.
  const sent = JSON.parse(JSON.stringify(tools)) as JsonObject[];
  const counted = sumTokens(digestRequest(sent, [{ type: "text", text: harness }], []));
  const characters = JSON.stringify(tools).length + harness.length;
  const tokens = Math.max(counted, Math.ceil(characters / CHARACTERS_PER_TOKEN));
  console.log(`${tools.length} tools and the system text: ${tokens} tokens of ${LIMIT}`);
  expect(tools.map(({ name }) => name)).toEqual(
    expect.arrayContaining(["WebFetch", "web_search", "code_execution"]),
  );
  expect(tokens).toBeLessThan(LIMIT);
});
