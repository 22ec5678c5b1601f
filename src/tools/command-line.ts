/**
 * The commands in a shell script, as far as a permission rule can know them: what the script says,
 * not what it computes. An allowance needs a script that was understood as a whole (`plain`). A
 * denial holds for each command that can be seen, also in substitutions, here-documents and behind
 * `sudo`, `xargs`, `env` and their like.
 *
 * Whoever writes a denial of commands reads here what it cannot reach: a name that the script
 * computes (`$x`, `$(echo rm)`, `{r,}m`), a script in a file or in a variable, a function or alias
 * whose name means something else, and what a program does by other means (`> file` writes without
 * any command). Denials of files and of hosts hold once more where they are opened and asked.
 */
import { onlyEdits, onlyLooks } from "./command-names.ts";
import type { Script, ShellCommand } from "./script-parts.ts";
import { ScriptReader } from "./script-reader.ts";

export type { Script, ShellCommand } from "./script-parts.ts";

/** Splits a script into its commands. */
export function readScript(source: string): Script {
  const reader = new ScriptReader(source, 0);
  reader.list(null);
  const { commands, hidden, plain } = reader;
  return { commands, hidden, plain };
}

/** It can neither change a file nor leave the machine. */
export const looks = ({ words, writes }: ShellCommand): boolean => !writes && onlyLooks(words);

/** It changes files of the session at most. */
export const edits = ({ words }: ShellCommand): boolean => onlyEdits(words) || onlyLooks(words);

/** Each command of the script fits, and there is nothing besides them. */
export const isWholly = (
  { plain, commands }: Script,
  fits: (command: ShellCommand) => boolean,
): boolean => plain && commands.length > 0 && commands.every(fits);
