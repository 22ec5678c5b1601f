/** The arguments of `tar`. Pure. */

export interface TarOptions {
  mode: "create" | "extract" | "list";
  /** `-` is the standard stream. */
  file: string;
  gzip: boolean;
  verbose: boolean;
  toStdout: boolean;
  keepOld: boolean;
  directory: string;
  strip: number;
  exclude: string[];
  names: string[];
}

export type ParsedTar = { ok: true; options: TarOptions } | { ok: false; message: string };

const MODES: Readonly<Record<string, TarOptions["mode"]>> = {
  c: "create",
  create: "create",
  x: "extract",
  extract: "extract",
  get: "extract",
  t: "list",
  list: "list",
};

/** Options that take a value: the letter, or the long name. */
const WITH_VALUE: Readonly<Record<string, "file" | "directory" | "strip" | "exclude">> = {
  f: "file",
  file: "file",
  C: "directory",
  directory: "directory",
  "strip-components": "strip",
  strip: "strip",
  exclude: "exclude",
};

/** These mean nothing here: compression is seen from the file, and all files are the user's. */
const IGNORED = new Set([
  "p",
  "a",
  "m",
  "o",
  "auto-compress",
  "preserve-permissions",
  "same-permissions",
  "no-same-owner",
  "no-same-permissions",
  "touch",
  "overwrite",
]);

const FLAGS: Readonly<Record<string, "gzip" | "verbose" | "toStdout" | "keepOld">> = {
  z: "gzip",
  gzip: "gzip",
  gunzip: "gzip",
  v: "verbose",
  verbose: "verbose",
  O: "toStdout",
  "to-stdout": "toStdout",
  k: "keepOld",
  "keep-old-files": "keepOld",
};

const OTHER_FORMATS = new Set(["j", "bzip2", "J", "xz", "zstd", "lzma"]);

export function parseTar(args: readonly string[]): ParsedTar {
  const options: TarOptions = {
    mode: "list",
    file: "-",
    gzip: false,
    verbose: false,
    toStdout: false,
    keepOld: false,
    directory: "",
    strip: 0,
    exclude: [],
    names: [],
  };
  let mode: TarOptions["mode"] | null = null;
  const rest = [...args];
  const take = (name: string, value: string | undefined): string | null => {
    const key = WITH_VALUE[name];
    if (key !== undefined) {
      const given = value ?? rest.shift();
      if (given === undefined) return `option requires an argument -- '${name}'`;
      if (key === "exclude") options.exclude.push(given);
      else if (key === "strip") options.strip = Number.parseInt(given, 10) || 0;
      else options[key] = given;
      return null;
    }
    const flag = FLAGS[name];
    if (flag !== undefined) options[flag] = true;
    else if (MODES[name] !== undefined) mode = MODES[name];
    else if (OTHER_FORMATS.has(name)) return "only gzip (-z) and no compression are supported";
    else if (!IGNORED.has(name)) return `unrecognized option '${name}'`;
    return null;
  };
  /** `-czf x`, `czf x` and `-fx`: a letter with a value takes what follows, or the next argument. */
  const letters = (text: string, bundled: boolean): string | null => {
    for (let i = 0; i < text.length; i++) {
      const letter = text.charAt(i);
      const value =
        bundled && WITH_VALUE[letter] && i + 1 < text.length ? text.slice(i + 1) : undefined;
      const problem = take(letter, value);
      if (problem !== null || value !== undefined) return problem;
    }
    return null;
  };
  for (let first = true; rest.length > 0; first = false) {
    const argument = rest.shift() ?? "";
    let problem: string | null = null;
    if (argument === "--") options.names.push(...rest.splice(0));
    else if (argument.startsWith("--")) {
      const [name = "", ...value] = argument.slice(2).split("=");
      problem = take(name, value.length > 0 ? value.join("=") : undefined);
    } else if (argument.length > 1 && argument.startsWith("-")) {
      problem = letters(argument.slice(1), true);
    } else if (first) problem = letters(argument, false);
    else options.names.push(argument);
    if (problem !== null) return { ok: false, message: problem };
  }
  if (mode === null) {
    return { ok: false, message: "You must specify one of the '-c', '-x' or '-t' options" };
  }
  return { ok: true, options: { ...options, mode } };
}
