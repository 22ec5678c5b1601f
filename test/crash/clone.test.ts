/** A repository that comes from a server: cloned once, or not at all. */
import "just-bash";
import "isomorphic-git";
import { beforeAll, expect } from "vitest";
import { text } from "../../src/standin/replies.ts";
import { ToolBench } from "../tools/context.ts";
import { gitServer, type Served, servedRepository } from "../tools/git-server.ts";
import { matrix } from "./matrix.ts";
import { answersBefore, call } from "./model.ts";
import { ONCE } from "./run.ts";
import { Web, withWeb } from "./web.ts";

withWeb();

const URL_OF = "https://git.example/repo.git";
const COMMITS = [{ message: "one\n", files: { "README.md": "# one\n", "src/a.ts": "a();\n" } }];

let served: Served;
beforeAll(async () => {
  served = await new ToolBench().inside((files) => servedRepository(files, COMMITS));
});

matrix("a clone", { attached: 59, alone: 33 }, () => {
  const { request } = gitServer(served);
  const web = new Web({
    async "git.example"({ href }, { method = "GET" }) {
      const answer = await request(href, { method, maxBytes: 1e6, timeoutMs: 1 });
      if (!answer.ok) throw new Error(answer.message);
      return new Response(answer.bytes, { status: answer.status, headers: answer.headers });
    },
  });
  const command = `git clone ${URL_OF}; cat repo/src/a.ts`;
  const steps = [call("Bash", { command }), text("Got it.")];
  return {
    answer: (_, request) => steps[answersBefore(request)] ?? [],
    points: ONCE,
    writes: 7,
    once: { "block 1.0": "/workspace/repo" },
    async play(client) {
      await client.turn("Clone it");
    },
    check() {
      expect(web.asked).toEqual([...new Set(web.asked)]);
    },
  };
});
