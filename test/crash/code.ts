interface ModuleRunner {
  import(specifier: string): Promise<unknown>;
}

/**
 * For each request to the Worker and each call of an object the test plugin asks its main process
 * anew where the code is, which takes longer than most of them. Nothing of it changes while a file
 * runs, so here it asks once.
 */
export function keepCode(): void {
  // The plugin's own global, of which nothing is promised.
  const { __vitest_mocker__: mocker } = globalThis as {
    __vitest_mocker__?: { moduleRunner?: ModuleRunner };
  };
  const runner = mocker?.moduleRunner;
  if (!runner) return;
  const load = runner.import.bind(runner);
  const loaded = new Map<string, unknown>();
  runner.import = async (specifier) => {
    if (!loaded.has(specifier)) loaded.set(specifier, await load(specifier));
    return loaded.get(specifier);
  };
}
