/** `npm run check`: format, lint, types, unused code, and the bundle as it would be deployed. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { ROOT } from "./server.ts";

const outdir = mkdtempSync(join(tmpdir(), "ledge-bundle-"));
const bundled = ["deploy", "--dry-run", "--minify", "--outdir", outdir];
const steps = [
  step("format and lint", "biome", ["check", "--error-on-warnings"]),
  step("types of the Worker and its tests", "tsc", ["-p", "tsconfig.json"]),
  step("types of scripts and benchmarks", "tsc", ["-p", "tsconfig.node.json"]),
  step("types of the benchmarks' Workers", "tsc", ["-p", "bench/worker"]),
  step("unused code", "knip", []),
  step("bundle", "wrangler", bundled, () => `, ${bundleKilobytes()} kB minified and gzipped`),
];
rmSync(outdir, { recursive: true });
process.exitCode = steps.every((passed) => passed) ? 0 : 1;

/** Runs a program of `node_modules/.bin`; what it printed is shown when it fails. */
function step(name: string, program: string, args: string[], result = () => ""): boolean {
  const began = performance.now();
  const { status, stdout, stderr } = spawnSync(join(ROOT, "node_modules/.bin", program), args, {
    cwd: ROOT,
    encoding: "utf8",
    env: { ...process.env, WRANGLER_SEND_METRICS: "false", WRANGLER_WRITE_LOGS: "false" },
  });
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  const passed = status === 0;
  const said = passed ? result() : "";
  console.log(`${passed ? "ok    " : "FAILED"}  ${name}${said} (${seconds} s)`);
  if (!passed) console.log([stdout, stderr].join("\n").trim());
  return passed;
}

/** What counts towards the platform's limit: all modules, without source maps and notes. */
function bundleKilobytes(): string {
  const modules = readdirSync(outdir, { recursive: true, encoding: "utf8" }).filter((name) =>
    /\.(js|mjs|wasm|txt|html|bin)$/.test(name),
  );
  const bytes = modules
    .map((name) => gzipSync(readFileSync(join(outdir, name))).byteLength)
    .reduce((sum, size) => sum + size, 0);
  return (bytes / 1000).toFixed(1);
}
