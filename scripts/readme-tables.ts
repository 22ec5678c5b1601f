/** The README's tables of variables, made from the lists in the code. */
import { VARIABLES } from "../src/shared/config.ts";
import { REPLACED_VARIABLES } from "../src/shared/config-replaced.ts";
import { START_VARIABLES } from "./start-variables.ts";

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");

const code = (text: string): string => `\`${text}\``;

const TABLES: Readonly<Record<string, () => string>> = {
  configuration: () =>
    table(
      ["variable", "default", "meaning"],
      Object.entries(VARIABLES).map(([name, { meaning, fallback, secret }]) => [
        `${code(name)}${secret ? " (secret)" : ""}`,
        fallback === null ? "–" : code(String(fallback)),
        meaning,
      ]),
    ),
  start: () =>
    table(
      ["variable", "default", "meaning"],
      Object.entries(START_VARIABLES).map(([name, { fallback, meaning }]) => [
        code(name),
        code(fallback),
        meaning,
      ]),
    ),
  replaced: () =>
    table(
      ["variable", "instead"],
      Object.entries(REPLACED_VARIABLES).map(([name, by]) => [code(name), by]),
    ),
};

/**
 * The README with all its tables as they must be. Each stands between `<!-- name: … -->` and
 * `<!-- /name -->`.
 */
export function withTables(readme: string): string {
  return Object.entries(TABLES).reduce((text, [name, make]) => {
    const section = new RegExp(`(<!-- ${name}:.*-->\n)[^]*?(\n<!-- /${name} -->)`);
    if (!section.test(text)) throw new Error(`the README has no section ${name}`);
    return text.replace(section, (_, begin: string, end: string) => begin + make() + end);
  }, readme);
}
