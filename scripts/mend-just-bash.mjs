/**
 * Runs after `npm install`. The arithmetic parser of just-bash never comes back from a `$` with
 * nothing to expand behind a term (`$((a$))`), and collects terms until the memory is full: an
 * endless loop without a single `await`, which no time limit can end. This adds the missing check
 * for progress to the installed copies of the parser. Plain JavaScript, as `run.mjs` is.
 *
 * It fails when a copy is neither mended nor known, so an update of just-bash cannot lose it.
 */
import { readFileSync, writeFileSync } from "node:fs";

const COPIES = ["browser.js", "index.js"];
const LOOP = /(\{let\{expr:(\w+),pos:(\w+)\}=\w+\(\w+,\w+,(\w+),!0\);)(\w+\.push\(\2\),\4=\3\})/g;
const MENDED = /(\w+)===(\w+)\)break;\w+\.push\(\w+\),\2=\1\}/g;

for (const name of COPIES) {
  const file = new URL(`../node_modules/just-bash/dist/bundle/${name}`, import.meta.url);
  const code = readFileSync(file, "utf8");
  const loops = [...code.matchAll(LOOP)];
  const mended = [...code.matchAll(MENDED)];
  if (loops.length + mended.length !== 1) {
    throw new Error(`just-bash/dist/bundle/${name}: the loop over adjacent terms was not found`);
  }
  if (loops.length === 1) {
    writeFileSync(file, code.replace(LOOP, "$1if($3===$4)break;$5"));
  }
}
