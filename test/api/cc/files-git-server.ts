/** A git server in the world outside of the Worker, for one test. */
import { onTestFinished, vi } from "vitest";
import { ToolBench } from "../../tools/context.ts";
import { gitServer, servedRepository } from "../../tools/git-server.ts";

/** Serves a repository with these files at `https://git.example/repo.git`. */
export async function serveRepository(files: Record<string, string>): Promise<void> {
  const commits = [{ message: "one\n", files }];
  const served = await new ToolBench().inside((bench) => servedRepository(bench, commits));
  const { request } = gitServer(served);
  const server = vi.spyOn(globalThis, "fetch").mockImplementation(async (url, init = {}) => {
    const { method = "GET" } = init;
    const answer = await request(String(url), { method, maxBytes: 1e6, timeoutMs: 1e3 });
    return answer.ok ? new Response(answer.bytes, answer) : Response.error();
  });
  onTestFinished(() => server.mockRestore());
}
