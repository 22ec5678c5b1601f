/** The variables that say how a turn runs, and with which tools. */
import {
  BOOLEAN_RULE,
  integerRule,
  oneOf,
  PERMISSION_MODES,
  RULES_RULE,
  readBoolean,
  readInteger,
  readPermissionMode,
  readRules,
  readServerTools,
} from "./config-readers.ts";
import { table, type Variable } from "./config-table.ts";
import { type PermissionMode, SERVER_TOOLS, type ServerToolName } from "./tools.ts";

export const TURN_VARIABLES = table({
  CC_API_MAX_TURNS: {
    meaning: "Model calls that a turn with built-in tools may make.",
    rule: integerRule(1, 1000),
    fallback: 8,
    secret: false,
    read: readInteger(1, 1000),
  },
  CLAUDE_MAX_TURNS: {
    meaning:
      "The same under the name that claude-code-api has for it; under its own API (`/api/v1`) a turn may make 25 where neither is set. `CC_API_MAX_TURNS` wins.",
    rule: integerRule(1, 1000),
    fallback: null,
    secret: false,
    read: readInteger(1, 1000),
  },
  CC_API_TOOL_MAX_TURNS: {
    meaning: "Model calls that a turn with the client's tools may make since its last input.",
    rule: integerRule(1, 1000),
    fallback: 4,
    secret: false,
    read: readInteger(1, 1000),
  },
  CC_API_PERMISSION_MODE: {
    meaning: "What the built-in tools may do in a session that says nothing of it.",
    rule: oneOf(PERMISSION_MODES),
    fallback: "bypassPermissions",
    secret: false,
    read: readPermissionMode,
  } satisfies Variable<PermissionMode>,
  CLAUDE_PERMISSION_MODE: {
    meaning:
      "The same under the name that claude-code-api has for it; `auto` is `default`. `CC_API_PERMISSION_MODE` wins.",
    rule: oneOf([...PERMISSION_MODES, "auto"]),
    fallback: null,
    secret: false,
    read: (text) => (text === "auto" ? "default" : readPermissionMode(text)),
  } satisfies Variable<PermissionMode>,
  CLAUDE_ALLOWED_TOOLS: {
    meaning:
      "Built-in tools that run without a question in a session that says nothing of permissions, for the modes that ask: rules such as `Read` or `Bash(git *)`, separated by commas.",
    rule: RULES_RULE,
    fallback: null,
    secret: false,
    read: readRules,
  },
  CLAUDE_DISALLOWED_TOOLS: {
    meaning: "Built-in tools that do not run in such a session, whatever the mode: the same rules.",
    rule: RULES_RULE,
    fallback: null,
    secret: false,
    read: readRules,
  },
  BUILTIN_TOOLS: {
    meaning:
      "Gives a workspace with file and shell tools to sessions that are created without tools of their own.",
    rule: BOOLEAN_RULE,
    fallback: true,
    secret: false,
    read: readBoolean,
  },
  SERVER_TOOLS: {
    meaning:
      "The API's own tools that such sessions have where their model, permissions and organization allow them; a search costs a fee.",
    rule: "`none`, or a comma-separated list of `web_search` and `code_execution`",
    fallback: [...SERVER_TOOLS],
    secret: false,
    read: readServerTools,
  } satisfies Variable<ServerToolName[]>,
  COMPACT_AT_PERCENT: {
    meaning:
      "A conversation is compacted at the start of a turn when it fills more than so many percent of its model's window, less the room for an answer. 0: only when it is asked for, and when the window is full.",
    rule: integerRule(0, 100),
    fallback: 80,
    secret: false,
    read: readInteger(0, 100),
  },
  COMPACT_IDLE_MINUTES: {
    meaning:
      "A session that has been idle for so many minutes is compacted in the background when its conversation has grown by 50,000 tokens or more. Below the `cache_ttl` of the sessions it costs little: `4` for the usual five minutes. 0: never.",
    rule: integerRule(0, 1440),
    fallback: 0,
    secret: false,
    read: readInteger(0, 1440),
  },
  CLAUDE_TIMEOUT_SECONDS: {
    meaning:
      "Seconds that a JSON answer waits for its turn. Afterwards the answer is 504 with the turn's address, and the turn goes on.",
    rule: integerRule(1, 3600),
    fallback: 300,
    secret: false,
    read: readInteger(1, 3600),
  },
});
