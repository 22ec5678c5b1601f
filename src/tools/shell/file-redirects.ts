/**
 * Redirects to files that cannot be opened. The shell ends the whole script at one, unless it has a
 * descriptor of its own; there it is an error of the command, as in any shell. So `> f` becomes
 * `231> f >&231`, which means the same. Pure.
 */
import {
  type Command,
  literalName,
  type Redirection,
  redirection,
  type Script,
  withCommands,
} from "./script-tree.ts";

/** Descriptors from here on belong to us; scripts use small numbers. */
const FIRST = 231;

export const withOpenErrors = (script: Script): Script => withCommands(script, changed);

function changed(command: Command): Command {
  // The redirects of `exec` stay behind it, and a definition's are those of its calls.
  if (command.type === "FunctionDef" || literalName(command) === "exec") return command;
  return { ...command, redirections: command.redirections.flatMap(opened) };
}

function opened(one: Redirection, i: number): Redirection[] {
  const { operator, fd, target, fdVariable } = one;
  const own = FIRST + i;
  if (fdVariable !== undefined || target.type === "HereDoc") return [one];
  switch (operator) {
    case ">":
    case ">>":
    case ">|": {
      const to = fd ?? 1;
      if (to > 2) return [one];
      return [{ ...one, fd: own }, redirection(to, ">&", String(own))];
    }
    case "&>":
    case "&>>": {
      const file: Redirection = { ...one, fd: own, operator: operator === "&>" ? ">" : ">>" };
      return [file, redirection(1, ">&", String(own)), redirection(2, ">&", String(own))];
    }
    default:
      return [one];
  }
}
