/**
 * Sends the output of each command of a script to the live output, as if the script had been started
 * with its streams there. A redirection that stands in front of a command's own ones means just
 * that: the command's own still decide. Pure.
 */
import { LIVE_ERR, LIVE_OUT } from "./live.ts";
import {
  type Command,
  literalName,
  type Pipeline,
  type Redirection,
  redirection,
  type Script,
  type Statement,
  withBodies,
} from "./script-tree.ts";

/**
 * With `exec` a script changes where its own output goes. The shell then takes our redirections for
 * the script's, so such a script's output is shown at its end. (`-exec` belongs to `find`.)
 */
export const canStream = (source: string): boolean => !/(^|[^-\w])exec(?!\w)/.test(source);

export const streamed = (script: Script): Script => ({
  ...script,
  statements: body(script.statements),
});

const body = (statements: Statement[]): Statement[] =>
  statements.map((one) => ({ ...one, pipelines: one.pipelines.map(pipeline) }));

const OUT = redirection(1, ">>", LIVE_OUT);
const ERR = redirection(2, ">>", LIVE_ERR);

function pipeline(one: Pipeline): Pipeline {
  // What `time` prints comes from the pipeline and not from its commands.
  if (one.timed) return { ...one, timed: false, commands: [grouped(one)] };
  const last = one.commands.length - 1;
  const commands = one.commands.map((command, i) => {
    if (i === last) return sent(command);
    return one.pipeStderr?.[i] ? command : redirected(command, [ERR]);
  });
  return { ...one, commands };
}

const grouped = (one: Pipeline): Command => {
  const inside: Statement = {
    type: "Statement",
    pipelines: [one],
    operators: [],
    background: false,
  };
  return { type: "Group", body: [inside], redirections: [OUT, ERR] };
};

/** Both streams of a command; inside of a loop or a condition, those of each command in it. */
function sent(command: Command): Command {
  const inputOnly = command.redirections.every(({ operator }) =>
    ["<", "<<", "<<-", "<<<"].includes(operator),
  );
  const within = inputOnly ? withBodies(command, body) : command;
  return within === command ? redirected(command, [OUT, ERR]) : within;
}

/** These print nothing, and loops call them often. */
const SILENT = new Set([":", "true", "false", "break", "continue"]);

/** With the redirections in front of its own. An assignment prints nothing, a definition neither. */
function redirected(command: Command, redirections: Redirection[]): Command {
  if (command.type === "FunctionDef" || command.type === "ArithmeticCommand") return command;
  if (command.type === "SimpleCommand" && command.name === null) return command;
  if (SILENT.has(literalName(command) ?? "")) return command;
  return { ...command, redirections: [...redirections, ...command.redirections] };
}
