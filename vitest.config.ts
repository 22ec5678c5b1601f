import { cloudflareTest } from "@cloudflare/vitest-pool-workers";
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    // Vitest leaves one core to itself; it needs little of it.
    maxWorkers: "100%",
    // A line of the operator's log for each turn of each test would hide what the tests say.
    onConsoleLog: (log) => !/^\{"event":"(turn|failure)"/.test(log),
    projects: [
      {
        plugins: [
          cloudflareTest({
            wrangler: { configPath: "./wrangler.toml" },
            // The workerd inside the test plugin is older than the one `wrangler dev` brings.
            miniflare: {
              compatibilityDate: "2026-09-18",
              bindings: { ALLOW_ANONYMOUS: "true", STANDIN: "true" },
            },
          }),
        ],
        define: { FAULT_POINTS: "true" },
        test: { name: "workerd", include: ["test/**/*.test.ts"], exclude: ["test/e2e/**"] },
      },
      {
        test: {
          name: "e2e",
          include: ["test/e2e/**/*.test.ts"],
          fileParallelism: false,
          // After the others: its servers need the machine's cores to themselves.
          sequence: { groupOrder: 1 },
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
});
