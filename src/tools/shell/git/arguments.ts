/** The arguments of a subcommand of git. Pure. */

/** Names; `=` takes a value. The letter in front of `|` is the short form; a letter alone has no long one. */
export type OptionList = readonly string[];

export interface Arguments {
  /** It was given, with or without a value. */
  has: (name: string) => boolean;
  /** The last value. */
  value: (name: string) => string | undefined;
  values: (name: string) => string[];
  /** Other arguments, in front of `--`. */
  rest: string[];
  /** Those behind `--`; null when there is none. */
  paths: string[] | null;
}

/** What ends a command: a message and the exit code that git has for it. */
export class GitExit extends Error {
  readonly exitCode: number;

  constructor(message: string, exitCode = 128) {
    super(message);
    this.exitCode = exitCode;
  }
}

interface Option {
  name: string;
  takesValue: boolean;
}

/**
 * @example parseArguments(["-qm", "text", "a"], ["q|quiet", "m|message="])
 * @throws GitExit 129 when there is no such option
 */
export function parseArguments(args: readonly string[], options: OptionList): Arguments {
  const known = new Map<string, Option>();
  for (const text of options) {
    const [long = "", short] = text.split("|").reverse();
    const takesValue = long.endsWith("=");
    const option = { name: takesValue ? long.slice(0, -1) : long, takesValue };
    known.set(`--${option.name}`, option);
    const letter = short ?? (option.name.length === 1 ? option.name : null);
    if (letter !== null) known.set(`-${letter}`, option);
  }
  const given = new Map<string, string[]>();
  const rest: string[] = [];
  let paths: string[] | null = null;
  const queue = [...args];
  const take = (option: Option | undefined, as: string, value: string | undefined): void => {
    if (!option) throw new GitExit(`error: unknown option \`${as.replace(/^-+/, "")}'`, 129);
    let taken = value;
    if (option.takesValue) taken ??= queue.shift();
    if (option.takesValue && taken === undefined) {
      throw new GitExit(`error: option \`${option.name}' requires a value`, 129);
    }
    given.set(option.name, [...(given.get(option.name) ?? []), taken ?? ""]);
  };
  while (queue.length > 0) {
    const argument = queue.shift() ?? "";
    if (argument === "--") {
      paths = queue.splice(0);
    } else if (argument.startsWith("--")) {
      const [name = "", ...value] = argument.split("=");
      take(known.get(name), name, value.length > 0 ? value.join("=") : undefined);
    } else if (/^-\d+$/.test(argument) && known.has("-n")) {
      take(known.get("-n"), argument, argument.slice(1));
    } else if (argument.length > 1 && argument.startsWith("-")) {
      takeLetters(argument, known, take);
    } else {
      rest.push(argument);
    }
  }
  const values = (name: string): string[] => given.get(name) ?? [];
  return {
    has: (name) => given.has(name),
    value: (name) => values(name).at(-1),
    values,
    rest,
    paths,
  };
}

/** `-am`, and `-n5`: what follows a letter that takes a value is its value. */
function takeLetters(
  argument: string,
  known: ReadonlyMap<string, Option>,
  take: (option: Option | undefined, as: string, value: string | undefined) => void,
): void {
  for (let i = 1; i < argument.length; i++) {
    const letter = `-${argument.charAt(i)}`;
    const option = known.get(letter);
    const value = option?.takesValue && i + 1 < argument.length ? argument.slice(i + 1) : undefined;
    take(option, letter, value);
    if (value !== undefined) return;
  }
}
