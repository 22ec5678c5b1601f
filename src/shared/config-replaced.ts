/** Variables of other servers that have no meaning here, and what is there instead. */

const STORED =
  "Sessions are kept in Durable Objects; on this machine in the folder of `--data` or `LEDGE_DATA`.";
const NO_PROGRAM =
  "No program is started: model calls go to the Messages API with `ANTHROPIC_API_KEY`.";

/** Each as a sentence, or more of them. */
export const REPLACED_VARIABLES: Readonly<Record<string, string>> = {
  CC_API_TOOL_PERMISSION_MODE:
    "A turn with the client's tools has no others, and the client decides itself whether it runs them.",
  CC_API_CWD: "Each session has a workspace of its own, whose root is `/workspace`.",
  CC_API_SESSION_DB: STORED,
  CC_API_SESSION_DIR: STORED,
  CC_API_HOME: STORED,
  DATABASE_URL: STORED,
  CLAUDE_CLI_PATH: NO_PROGRAM,
  CLAUDE_BIN: NO_PROGRAM,
  APPROVED_DIRECTORY: "Tools reach the files of their own session and no others.",
  SANDBOX_ENABLED: "Tools always run inside the session, without a machine behind it.",
  SANDBOX_EXCLUDED_COMMANDS:
    "No command runs outside of the session. `CLAUDE_DISALLOWED_TOOLS` and a session's permissions say which do not run at all.",
};
