/** The session's own tools that reach into the world outside: started once, whatever happens. */
import "just-bash";
import { expect } from "vitest";
import { text } from "../../src/standin/replies.ts";
import { matrix } from "./matrix.ts";
import { answersBefore, call } from "./model.ts";
import { ONCE } from "./run.ts";
import { Web, withWeb } from "./web.ts";

withWeb();

const page = (url: URL) => new Response(`<h1>${url.pathname}</h1>`, { headers: HTML });
const HTML = { "content-type": "text/html" };

/** Bytes of a log to which a command was started once: what it wrote, or the first part of that. */
const LINES = ["6", "13"];

/** A command that writes a line, asks for a page in between, and writes another line. */
const command = (folder: string) =>
  [
    `mkdir ${folder}`,
    `echo first >> ${folder}/log`,
    "echo begun",
    `curl -s https://web.example/${folder} > ${folder}/page`,
    `echo second >> ${folder}/log`,
    `cat ${folder}/log`,
  ].join("\n");

matrix("commands and pages", { attached: 126, alone: 78 }, () => {
  const web = new Web({ "web.example": page });
  const steps = [
    [
      call("Bash", { command: command("a") }),
      call("WebFetch", { url: "https://web.example/one" }),
      call("WebFetch", { url: "https://web.example/two" }),
      call("Bash", { command: command("b") }),
    ],
    text("That was all."),
  ];
  const outside: Record<string, string> = {
    "block 1.0": "https://web.example/a",
    "block 1.1": "https://web.example/one",
    "block 1.2": "https://web.example/two",
    "block 1.3": "https://web.example/b",
  };
  return {
    answer: (_, request) => steps[answersBefore(request)] ?? [],
    points: ONCE,
    writes: 1,
    once: {
      "block 1.0": "/workspace/a",
      "block 1.1": "",
      "block 1.2": "",
      "block 1.3": "/workspace/b",
    },
    async play(client) {
      await client.turn("Work");
    },
    check({ files }, unknown) {
      for (const [block, address] of Object.entries(outside)) {
        const most = unknown.has(block) ? [0, 1] : [1];
        expect(web.count(address), `requests for ${address}`).toBeOneOf(most);
      }
      // What an unknown call has written before its end is not compared with anything.
      for (const folder of ["a", "b"]) {
        const log = files[`/workspace/${folder}/log`];
        if (log !== undefined) expect(log.split(" ")[2], `bytes of ${folder}/log`).toBeOneOf(LINES);
      }
    },
  };
});
