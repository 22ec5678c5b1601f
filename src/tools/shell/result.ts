/** What the model reads of a script that has run. */
import { DEVICE_BYTES } from "../../workspace/shell-fs.ts";
import { MAX_OUTPUT, MAX_STEPS } from "./limits.ts";
import type { StopReason } from "./stopper.ts";

export interface Ended {
  stdout: string;
  stderr: string;
  exitCode: number;
  /** Why it did not end by itself. */
  stopped: string | null;
  /** What else the model should know. */
  notes: readonly string[];
}

/** In the form of Claude Code: exit code, stdout, stderr. */
export function resultText({ stdout, stderr, exitCode, stopped, notes }: Ended): string {
  const parts = [
    stopped === null && exitCode !== 0 ? `Exit code ${exitCode}` : "",
    stopped ?? "",
    stdout.trimEnd(),
    stderr.trimEnd(),
    ...notes,
  ].filter((part) => part !== "");
  return parts.length > 0 ? parts.join("\n") : "(Bash completed with no output)";
}

/** The shell's own words for commands that it has elsewhere but not here. */
const ELSEWHERE = /^(bash: \S+: command not )available in browser environments\..*$/gm;
const NOT_FOUND = /^bash: (?:line \d+: )?\S+: command not found$/m;

/** What the shell advises those who build it in. */
const ADVICE = /, increase executionLimits\.\w+/g;

/** A redirect to a file that could not be opened. */
const UNOPENED = /^(bash: .*: )cannot open redirect target$/gm;

/**
 * The shell's messages as its user needs them: a missing command is a missing command, and a file
 * that could not be opened has a reason.
 */
export function plainWords(text: string, refused: string | null): string {
  const words = text.replace(ELSEWHERE, "$1found").replace(ADVICE, "");
  if (refused === null) return words;
  return words.replace(
    UNOPENED,
    (_, before) => before + refused.charAt(0).toUpperCase() + refused.slice(1),
  );
}

/** A range that the shell cuts short without a word. */
const RANGE = /\{(-?\d{1,15})\.\.(-?\d{1,15})(?:\.\.(-?\d{1,15}))?\}/g;
const LONGEST_RANGE = 10_000;

export function rangeHint(script: string): string | null {
  for (const [range, from, to, step] of script.matchAll(RANGE)) {
    const length = Math.abs(Number(to) - Number(from)) / Math.max(1, Math.abs(Number(step ?? 1)));
    if (length >= LONGEST_RANGE) {
      return `Note: ${range} gives its first ${LONGEST_RANGE} items only; use seq for more.`;
    }
  }
  return null;
}

const UNITS: Readonly<Record<string, number>> = { "": 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 };

/** The devices without an end have one here, which a script that takes so much must know. */
export function deviceHint(script: string): string | null {
  const device = /\/dev\/(?:zero|u?random)\b/.exec(script)?.[0];
  if (device === undefined) return null;
  for (const [, count, unit = ""] of script.matchAll(/(?:-c|--bytes=)\s*(\d{1,15})([kmg]?)/gi)) {
    if (Number(count) * (UNITS[unit.toLowerCase()] ?? 1) > DEVICE_BYTES) {
      return `Note: ${device} gives ${DEVICE_BYTES} bytes only.`;
    }
  }
  return null;
}

/** The shell's own word on being stopped; why it was is said elsewhere. */
export const withoutAbort = (text: string): string =>
  text.replace(/^bash: .*(?:aborted|execution deadline).*\n/gm, "");

/** What there is instead of a command that there is not. */
export function commandHint(output: string, commands: readonly string[]): string | null {
  if (!NOT_FOUND.test(output)) return null;
  return `No processes of an operating system run here: no node, npm, python, pip, gcc, apt and the like. There are the shell's builtins and: ${[...commands].sort().join(" ")}.`;
}

/** Why a script did not end by itself. */
export function stopText(reason: StopReason, timeoutMs: number): string {
  switch (reason) {
    case "timeout":
      return `Command timed out after ${timeoutMs / 1000}s, and was stopped.`;
    case "output":
      return `The command was stopped because it printed more than ${MAX_OUTPUT} characters. Write long outputs to a file.`;
    case "steps":
      return `The command was stopped because its awk, jq or sed program took more than ${MAX_STEPS} steps.`;
    case "interrupt":
      return "The command was interrupted.";
  }
}
