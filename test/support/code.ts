interface ModuleRunner {
  import(specifier: string): Promise<unknown>;
}

/**
 * For each request to the Worker and each call of an object the test plugin asks its main process
 * anew where the Worker's code is. Nothing of it changes while the tests run, so here it asks once.
 */
export function keepWorker(): void {
  // The plugin's own global, of which nothing is promised.
  const { __vitest_mocker__: mocker } = globalThis as {
    __vitest_mocker__?: { moduleRunner?: ModuleRunner };
  };
  const runner = mocker?.moduleRunner;
  if (!runner) return;
  const load = runner.import.bind(runner);
  let worker: unknown;
  runner.import = async (specifier) => {
    if (!specifier.endsWith("/src/worker.ts")) return load(specifier);
    worker ??= await load(specifier);
    return worker;
  };
}
