/** `npm test`: all tests, or those that the arguments choose; ends with the files' times and the counts. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { createInterface } from "node:readline";
import { ROOT } from "./server.ts";

/** The part of Vitest's JSON report that is read here. */
interface Report {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  numTodoTests: number;
  testResults: TestFile[];
}

interface TestFile {
  name: string;
  status: string;
  startTime: number;
  endTime: number;
  assertionResults: unknown[];
}

/** What workerd says of an object that a test has ended, and the stack behind it. */
const DELIBERATE =
  /^uncaught exception; .*outputGateBroken; jsg\.Error: (crash|restart|deleted)|^stack: \S*workerd@/;

const folder = mkdtempSync(join(tmpdir(), "ledge-test-"));
const file = join(folder, "report.json");
const vitest = join(ROOT, "node_modules/vitest/vitest.mjs");
const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${file}`];
const child = spawn(process.execPath, [vitest, "run", ...reporters, ...process.argv.slice(2)], {
  cwd: ROOT,
  stdio: ["inherit", "pipe", "pipe"],
});
for (const output of [child.stdout, child.stderr]) {
  createInterface(output).on("line", (line) => {
    if (!DELIBERATE.test(line)) console.log(line);
  });
}
await once(child, "close");
const report = readReport();
rmSync(folder, { recursive: true });
for (const line of report ? timesOf(report.testResults) : []) console.log(line);
const { passed, failed, skipped } = countsOf(report);
console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
process.exitCode = failed > 0 ? 1 : (child.exitCode ?? 1);

/** The seconds of each file, the longest first. They run side by side, so they overlap. */
function timesOf(files: readonly TestFile[]): string[] {
  const seconds = ({ startTime, endTime }: TestFile) => (endTime - startTime) / 1000;
  return files
    .toSorted((a, b) => seconds(b) - seconds(a))
    .map((one) => `${seconds(one).toFixed(1).padStart(7)} s  ${relative(ROOT, one.name)}`);
}

/** A file that could not be run counts as one failure, and so does a run that broke otherwise. */
function countsOf(read: Report | null): { passed: number; failed: number; skipped: number } {
  if (!read) return { passed: 0, failed: 1, skipped: 0 };
  const { numPassedTests, numFailedTests, numPendingTests, numTodoTests, testResults } = read;
  const unrun = testResults.filter(
    (one) => one.status === "failed" && one.assertionResults.length === 0,
  );
  const failed = numFailedTests + unrun.length;
  return {
    passed: numPassedTests,
    failed: failed === 0 && child.exitCode !== 0 ? 1 : failed,
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
