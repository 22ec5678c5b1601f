/**
 * `node scripts/run.mjs <script> [options]` runs `scripts/<script>.ts`. Plain JavaScript, because an
 * old Node cannot even parse the scripts: it gets one line that says what to do.
 */
const NEEDED = [22, 18];

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < NEEDED[0] || (major === NEEDED[0] && minor < NEEDED[1])) {
  console.error(
    `Ledge needs Node ${NEEDED.join(".")} or newer and this is ${process.version}: run \`npm ci\` (or \`npm rebuild node\`, if install scripts were blocked), which brings its own, or install a newer Node.`,
  );
  process.exit(1);
}

const [script] = process.argv.splice(2, 1);
await import(`./${script}.ts`);
