/** A git server on this machine, with git's own program behind it. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { dataFolder } from "./support.ts";

export const git = (cwd: string, ...args: string[]): string =>
  execFileSync("git", ["-c", "user.name=Ada", "-c", "user.email=ada@example.com", ...args], {
    cwd,
    encoding: "utf8",
    env: { PATH: process.env.PATH, HOME: cwd, GIT_CONFIG_NOSYSTEM: "1" },
  });

/** A repository of three commits that takes pushes, in a folder of its own. */
export async function repository(): Promise<string> {
  const root = await dataFolder();
  git(root, "init", "-q", "-b", "main", "work");
  const work = join(root, "work");
  for (const [i, body] of ["one\n", "one\ntwo\n", "one\ntwo\nTODO three\n"].entries()) {
    writeFileSync(join(work, "notes.txt"), body);
    writeFileSync(join(work, `file-${i}.md`), `# File ${i}\n`.repeat(200));
    git(work, "add", ".");
    git(work, "commit", "-qm", `commit ${i}`);
  }
  git(root, "clone", "-q", "--bare", "work", "repo.git");
  git(join(root, "repo.git"), "config", "http.receivepack", "true");
  return root;
}

/** Answers one request as git's own CGI program does. */
async function answer(root: string, request: IncomingMessage, response: ServerResponse) {
  const url = new URL(request.url ?? "/", "http://localhost");
  const backend = spawn("git", ["http-backend"], {
    env: {
      PATH: process.env.PATH,
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: "1",
      PATH_INFO: url.pathname,
      QUERY_STRING: url.search.slice(1),
      REQUEST_METHOD: request.method ?? "GET",
      CONTENT_TYPE: request.headers["content-type"] ?? "",
    },
    stdio: ["pipe", "pipe", "inherit"],
  });
  request.pipe(backend.stdin);
  const pieces: Buffer[] = [];
  backend.stdout.on("data", (piece: Buffer) => pieces.push(piece));
  await once(backend, "close");
  const whole = Buffer.concat(pieces);
  const end = whole.indexOf("\r\n\r\n");
  for (const line of whole.subarray(0, end).toString().split("\r\n")) {
    const [name = "", value = ""] = line.split(": ");
    if (name === "Status") response.statusCode = Number(value.slice(0, 3));
    else response.setHeader(name, value);
  }
  response.end(whole.subarray(end + 4));
}

/**
 * Serves the repositories below `root` for the test, and gives `host:port`. What `other` takes is not
 * answered here.
 */
export async function gitHost(
  root: string,
  other: (path: string, response: ServerResponse) => boolean = () => false,
): Promise<string> {
  const server = createServer((request, response) => {
    if (!other(request.url ?? "", response)) void answer(root, request, response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  return `127.0.0.1:${typeof address === "object" ? address?.port : 0}`;
}
