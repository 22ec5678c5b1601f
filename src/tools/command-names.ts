/** What is known of shell commands by their names, for the rules about them. Pure. */

/** Commands that run what their arguments say, or change what the names of commands mean. */
const RUNNERS = new Set(
  "eval bash sh dash zsh xargs env timeout source . command builtin exec nohup watch trap alias function time coproc select sudo doas nice setsid stdbuf parallel awk sed export declare typeset local readonly read mapfile readarray getopts let set shopt unset enable hash unalias pushd popd".split(
    " ",
  ),
);

/** Variables that decide what a command's name means, or how the rest of the script is read. */
export const DECISIVE =
  /^(PATH|IFS|ENV|HOME|CDPATH|SHELLOPTS|BASHOPTS|PS4|PROMPT_COMMAND|GLOBIGNORE|BASH.*|LD_.*|GIT_.*)$/;

/** The name of a program without its folder. */
export const baseOf = (name: string): string => name.slice(name.lastIndexOf("/") + 1);

/** The command may run others than the one that it names. */
export function runsOthers([name = "", ...rest]: readonly string[]): boolean {
  const base = baseOf(name);
  if (base === "env") return rest.length > 0;
  if (base === "find") return rest.some((word) => /^-(exec|ok|delete|fprint|fls|files)/.test(word));
  return RUNNERS.has(base);
}

/** `git -C folder push` is a `git push`. */
export function withoutOptions([name = "", ...rest]: readonly string[]): string[] {
  let at = 0;
  while (rest[at]?.startsWith("-")) {
    at += /^(-C|-c|--git-dir|--work-tree|--namespace)$/.test(rest[at] ?? "") ? 2 : 1;
  }
  return [name, ...rest.slice(at)];
}

/** Commands that only look, whatever their arguments but those of `CHANGING`. */
const READING = new Set(
  "ls cat head tail wc grep egrep fgrep rg echo printf pwd stat file du tree sort uniq cut tr rev nl comm diff column join basename dirname readlink date env printenv which whoami hostname true false test [ seq expr md5sum sha1sum sha256sum base64 jq strings od tac history help cd find git :".split(
    " ",
  ),
);

const READING_GIT = new Set("status log diff show branch rev-parse remote".split(" "));

/** Arguments with which a command that looks writes a file, sets a variable or runs something. */
const CHANGING: Readonly<Record<string, (words: readonly string[]) => boolean>> = {
  sort: (words) => words.some((word) => /^(-[A-Za-z]*o|--o|--c)/.test(word)),
  uniq: (words) => words.filter((word) => !word.startsWith("-")).length > 1,
  tree: (words) => words.some((word) => /^-[A-Za-z]*o/.test(word)),
  rg: (words) => words.some((word) => /^--(pre|hostname)/.test(word)),
  printf: ([first = ""]) => /^(-v|\$)/.test(first),
  // A subscript is computed, and may hold a substitution.
  test: (words) => words.some((word) => /[[$]/.test(word)),
  "[": (words) => words.some((word) => /[[$]/.test(word)),
  git: ([subcommand = "", ...rest]) =>
    !READING_GIT.has(subcommand) ||
    rest.some((word) => /^--(output|ext-diff)/.test(word)) ||
    (/^(branch|remote)$/.test(subcommand) && rest.some((word) => !word.startsWith("-"))),
};

/** A command, by its words, that can neither change a file nor leave the machine. */
export function onlyLooks(words: readonly string[]): boolean {
  const [name = "", ...rest] = words;
  if (!READING.has(name) || runsOthers(words)) return false;
  return !(Object.hasOwn(CHANGING, name) && CHANGING[name]?.(rest));
}

/** Commands that do to files what the editing tools do. */
const EDITING = new Set(["mkdir", "touch", "rm", "rmdir", "mv", "cp", "ln", "tee", "chmod"]);

export const onlyEdits = ([name]: readonly string[]): boolean =>
  name === undefined || EDITING.has(name);
