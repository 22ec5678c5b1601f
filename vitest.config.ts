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
];

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

export default defineConfig({
  test: {
    // Vitest leaves one core to itself; it needs little of it.
    maxWorkers: "100%",
    // A line of the operator's log for each turn of each test would hide what the tests say.
    onConsoleLog: (log) => !/^\{"event":"(turn|failure)"/.test(log),
    projects: [
      {
        plugins: [inWorkerd()],
        define: { FAULT_POINTS: "true" },
        test: {
          ...patience,
          name: "workerd",
          include: ["test/**/*.test.ts"],
          exclude: ["test/e2e/**", ...ALONE],
          isolate: false,
          setupFiles: ["test/support/each-file.ts"],
        },
      },
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
          fileParallelism: false,
          // After the others: its servers need the machine's cores to themselves.
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
