import * as v from "valibot";
import { shortened } from "./long-output.ts";
import { MAX_MS, MAX_RESULT } from "./shell/limits.ts";
import { resultText } from "./shell/result.ts";
import { runScript } from "./shell/run.ts";
import { defineTool, errorResult } from "./tool.ts";

export const bash = defineTool({
  definition: {
    name: "Bash",
    description: `Runs a bash script over the workspace's files: pipes, redirects, loops, functions, and grep, rg, sed, awk, find, jq, curl, git, tar and more. At most ${MAX_MS / 1000} s; no background processes. The folder and variables stay for the next call.`,
    input_schema: {
      type: "object",
      properties: {
        command: { type: "string" },
        description: { type: "string", description: "what it does, in a few words" },
        timeout: { type: "integer", description: "milliseconds" },
      },
      required: ["command"],
    },
  },
  kind: "once",
  access: "execute",
  input: v.object({
    command: v.string(),
    description: v.nullish(v.string()),
    timeout: v.nullish(v.pipe(v.number(), v.minValue(1))),
    run_in_background: v.nullish(v.boolean()),
  }),
  run: async ({ command, timeout, run_in_background }, context) => {
    if (run_in_background) {
      return errorResult(
        `There are no background processes here. Run the command without run_in_background; it may take ${MAX_MS / 1000} seconds.`,
      );
    }
    const ended = await runScript(command, context, Math.min(timeout ?? MAX_MS, MAX_MS));
    const text = shortened(context, resultText(ended), MAX_RESULT);
    return {
      content: [{ type: "text", text }],
      is_error: ended.exitCode !== 0 || ended.stopped !== null,
      shell: ended.shell,
    };
  },
});
