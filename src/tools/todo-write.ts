import * as v from "valibot";
import { defineTool, textResult } from "./tool.ts";

const Status = v.picklist(["pending", "in_progress", "completed"]);

export const todoWrite = defineTool({
  definition: {
    name: "TodoWrite",
    description:
      "Keeps the list of what is to be done in a task of several steps. Send the whole list each time; one item is in_progress at a time.",
    input_schema: {
      type: "object",
      properties: {
        todos: {
          type: "array",
          items: {
            type: "object",
            properties: {
              content: { type: "string" },
              status: { type: "string", enum: ["pending", "in_progress", "completed"] },
              activeForm: { type: "string" },
            },
            required: ["content", "status"],
          },
        },
      },
      required: ["todos"],
    },
  },
  kind: "atomic",
  access: "none",
  input: v.object({
    todos: v.array(
      v.object({
        content: v.pipe(v.string(), v.minLength(1)),
        status: Status,
        activeForm: v.nullish(v.string()),
      }),
    ),
  }),
  run: () =>
    textResult(
      "Todos have been modified successfully. Ensure that you continue to use the todo list to track your progress. Please proceed with the current tasks if applicable",
    ),
});
