/** `npm test`: all tests, or those that the arguments choose; ends with a line of counts. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT } from "./server.ts";

/** The part of Vitest's JSON report that is read here. */
interface Report {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  numTodoTests: number;
  testResults: { status: string; assertionResults: unknown[] }[];
}

const folder = mkdtempSync(join(tmpdir(), "ledge-test-"));
const file = join(folder, "report.json");
const vitest = join(ROOT, "node_modules/vitest/vitest.mjs");
const report = ["--reporter=default", "--reporter=json", `--outputFile.json=${file}`];
const { status } = spawnSync(
  process.execPath,
  [vitest, "run", ...report, ...process.argv.slice(2)],
  { cwd: ROOT, stdio: "inherit" },
);
const { passed, failed, skipped } = readCounts();
rmSync(folder, { recursive: true });
console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
process.exitCode = failed > 0 ? 1 : (status ?? 1);

/** A file that could not be run counts as one failure, and so does a run that broke otherwise. */
function readCounts(): { passed: number; failed: number; skipped: number } {
  const read = readReport();
  if (!read) return { passed: 0, failed: 1, skipped: 0 };
  const { numPassedTests, numFailedTests, numPendingTests, numTodoTests, testResults } = read;
  const unrun = testResults.filter(
    (one) => one.status === "failed" && one.assertionResults.length === 0,
  );
  const failed = numFailedTests + unrun.length;
  return {
    passed: numPassedTests,
    failed: failed === 0 && status !== 0 ? 1 : failed,
    skipped: numPendingTests + numTodoTests,
  };
}

function readReport(): Report | null {
  try {
    // Vitest wrote it.
    return JSON.parse(readFileSync(file, "utf8")) as Report;
  } catch {
    return null;
  }
}
