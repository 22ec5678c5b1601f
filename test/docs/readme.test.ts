import { expect, test } from "vitest";
import readme from "../../README.md?raw";
import { VARIABLES } from "../../src/shared/config.ts";

/** The README's table, as it must be for the variables that the code reads. */
function configurationTable(): string {
  const rows = Object.entries(VARIABLES).map(([name, { meaning, fallback, secret }]) => {
    const shown = fallback === null ? "–" : `\`${String(fallback)}\``;
    return `| \`${name}\`${secret ? " (secret)" : ""} | ${shown} | ${meaning} |`;
  });
  return ["| variable | default | meaning |", "| --- | --- | --- |", ...rows].join("\n");
}

test("the README's configuration table is the one in the code", () => {
  const [, table] = readme.split(/<!-- \/?configuration.*-->/);
  expect(table?.trim()).toBe(configurationTable());
});
