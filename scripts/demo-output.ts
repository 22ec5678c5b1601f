/** What the demo prints, and what it counts. */
import type { Reader } from "./reader.ts";

/** What has been found to hold so far. */
let checks = 0;
export const checked = (): number => checks;

export function colored(code: number, text: string): string {
  return process.stdout.isTTY && !process.env.NO_COLOR ? `\u001b[${code}m${text}\u001b[0m` : text;
}

export function title(text: string): void {
  console.log(`\n${colored(1, text)}`);
}

export function note(text: string): void {
  console.log(`    ${text}`);
}

export function say(text: string): void {
  console.log(colored(36, `  > ${text}`));
}

export function showText(reader: Reader): void {
  const text = lastText(reader).replaceAll(/\s+/g, " ");
  const short = text.length > 100 ? `${text.slice(0, 60)} … ${text.slice(-36)}` : text;
  console.log(colored(90, `  < ${short}`));
}

export function check(holds: boolean, what: string): void {
  if (!holds) throw new Error(`it does not hold that ${what}`);
  checks++;
  console.log(`  ${colored(32, "✓")} ${what}`);
}

export function seconds(since: number): string {
  return `${((performance.now() - since) / 1000).toFixed(1)} s`;
}

/** How many texts were streamed whole; throws when one is not what its deltas join to. */
export function wholeTexts(reader: Reader): number {
  let whole = 0;
  for (const [id, { deltas, completed }] of reader.messages) {
    if (completed === null) continue;
    if (deltas.join("") !== completed) throw new Error(`the deltas of ${id} are not its text`);
    whole++;
  }
  return whole;
}

/** The last text that has its row. */
export function lastText(reader: Reader): string {
  return [...reader.messages.values()].findLast((one) => one.completed !== null)?.completed ?? "";
}
