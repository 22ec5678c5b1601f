import { cloudflareTest } from "@cloudflare/vitest-pool-workers";
import { defineConfig } from "vitest/config";

/**
 * These change what all of an isolate shares: the platform's own classes, and the Worker's variables.
 * So each of them has an isolate of its own, into which the whole program is loaded anew.
 */
const ALONE = [
  "test/crash/**/*.test.ts",
  "test/session/budget-race.test.ts",
  "test/session/compact-idle.test.ts",
  "test/session/expiry.test.ts",
  "test/session/forgotten.test.ts",
  "test/session/webhooks*.test.ts",
  "test/api/cc/own-key*.test.ts",
  "test/security/secrets*.test.ts",
];

/** Large requests and many clients: an isolate of their own bounds the memory that files use up together. */
const HOSTILE = ["test/hostile/**/*.test.ts", "test/security/**/*.test.ts"];

/** What clients see. Many files: each leaves something of itself in the isolate that it shares, whose memory has a limit. */
const SURFACES = ["test/api/**/*.test.ts", "test/conformance/**/*.test.ts"];

/** For what hangs, not for what is slow: a loaded machine may take many times as long. */
const patience = { testTimeout: 60_000, hookTimeout: 60_000 };

const inWorkerd = () =>
  cloudflareTest({
    wrangler: { configPath: "./wrangler.toml" },
    // The workerd inside the test plugin is older than the one `wrangler dev` brings.
    miniflare: {
      compatibilityDate: "2026-09-18",
      bindings: { ALLOW_ANONYMOUS: "true", STANDIN: "true" },
    },
  });

/** Files that share the program in one isolate for each worker. */
const shared = (name: string, include: string[], elsewhere: string[] = []) => ({
  plugins: [inWorkerd()],
  define: { FAULT_POINTS: "true" },
  test: {
    ...patience,
    name,
    include,
    exclude: ["test/e2e/**", ...ALONE, ...elsewhere],
    isolate: false,
    setupFiles: ["test/support/each-file.ts"],
  },
});

export default defineConfig({
  test: {
    // Vitest leaves one core to itself; it needs little of it.
    maxWorkers: "100%",
    // A line of the operator's log for each turn of each test would hide what the tests say.
    onConsoleLog: (log) => !/^\{"event":"(turn|failure|webhook|refused)"/.test(log),
    projects: [
      shared("workerd", ["test/**/*.test.ts"], [...HOSTILE, ...SURFACES]),
      shared("surfaces", SURFACES),
      shared("hostile", HOSTILE),
      {
        plugins: [inWorkerd()],
        define: { FAULT_POINTS: "true" },
        test: { ...patience, name: "alone", include: ALONE },
      },
      {
        test: {
          ...patience,
          name: "e2e",
          include: ["test/e2e/**/*.test.ts"],
          // After the others: its servers need the machine's cores to themselves.
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
