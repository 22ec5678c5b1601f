/** A repository behind smart HTTP, as a git server answers for it. */
import git from "isomorphic-git";
import type { GuardedRequest, GuardedRequester } from "../../src/net/request.ts";
import { clock } from "../../src/shared/clock.ts";
import { gitFs } from "../../src/workspace/git-fs.ts";
import type { Workspace } from "../../src/workspace/workspace.ts";

const AUTHOR = {
  name: "Ada",
  email: "ada@example.com",
  timestamp: 1_700_000_000,
  timezoneOffset: -60,
};

export interface ServedCommit {
  message: string;
  files: Record<string, string>;
}

/** What a server tells of a repository with these commits on `main`. */
export interface Served {
  head: string;
  pack: Uint8Array;
}

/** Makes a repository of commits, and the pack of its newest one. */
export async function servedRepository(
  workspace: Workspace,
  commits: readonly ServedCommit[],
): Promise<Served> {
  const fs = gitFs({ workspace, clock });
  const dir = "/workspace/origin";
  await git.init({ fs, dir, defaultBranch: "main" });
  let head = "";
  for (const { message, files } of commits) {
    for (const [path, content] of Object.entries(files)) {
      workspace.write(`${dir}/${path}`, content);
      await git.add({ fs, dir, filepath: path });
    }
    head = await git.commit({ fs, dir, message, author: AUTHOR });
  }
  const { commit } = await git.readCommit({ fs, dir, oid: head });
  const oids = [head, ...(await objectsOf(fs, dir, commit.tree))];
  const { packfile } = await git.packObjects({ fs, dir, oids, write: false });
  if (!packfile) throw new Error("no pack was made");
  workspace.remove(dir, true);
  return { head, pack: packfile };
}

/** A tree, and everything in it. */
async function objectsOf(
  fs: ReturnType<typeof gitFs>,
  dir: string,
  oid: string,
): Promise<string[]> {
  const { tree } = await git.readTree({ fs, dir, oid });
  const inside = await Promise.all(
    tree.map((entry) => (entry.type === "tree" ? objectsOf(fs, dir, entry.oid) : [entry.oid])),
  );
  return [oid, ...inside.flat()];
}

const text = new TextEncoder();

/** One line of git's protocol, with its length in front. */
function line(content: string | Uint8Array): Uint8Array {
  const bytes = typeof content === "string" ? text.encode(content) : content;
  const length = (bytes.length + 4).toString(16).padStart(4, "0");
  return joined([text.encode(length), bytes]);
}

const FLUSH = text.encode("0000");
const BAND_BYTES = 60_000;

function joined(pieces: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(pieces.reduce((size, piece) => size + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

function advertisement({ head }: Served): Uint8Array<ArrayBuffer> {
  const capabilities = "shallow side-band-64k ofs-delta symref=HEAD:refs/heads/main agent=git/test";
  return joined([
    line("# service=git-upload-pack\n"),
    FLUSH,
    line(`${head} HEAD\0${capabilities}\n`),
    line(`${head} refs/heads/main\n`),
    FLUSH,
  ]);
}

function packAnswer({ head, pack }: Served): Uint8Array<ArrayBuffer> {
  const pieces: Uint8Array[] = [line(`shallow ${head}\n`), FLUSH, line("NAK\n")];
  for (let at = 0; at < pack.length; at += BAND_BYTES) {
    pieces.push(line(joined([Uint8Array.of(1), pack.subarray(at, at + BAND_BYTES)])));
  }
  return joined([...pieces, FLUSH]);
}

/** Answers for one repository at `https://git.example/repo.git`, and keeps what was asked. */
export function gitServer(served: Served): {
  request: GuardedRequester;
  asked: { url: string; options: GuardedRequest }[];
} {
  const asked: { url: string; options: GuardedRequest }[] = [];
  return {
    asked,
    request: async (url, options) => {
      asked.push({ url, options });
      const { pathname } = new URL(url);
      const advertised = pathname === "/repo.git/info/refs";
      if (!advertised && pathname !== "/repo.git/git-upload-pack") {
        return answer(url, 404, "text/plain", joined([text.encode("not found")]));
      }
      const bytes = advertised ? advertisement(served) : packAnswer(served);
      if (bytes.length > options.maxBytes) {
        return { ok: false, code: "fetch_too_large", message: "The URL's content is too large" };
      }
      const kind = advertised ? "advertisement" : "result";
      return answer(url, 200, `application/x-git-upload-pack-${kind}`, bytes);
    },
  };
}

const answer = (url: string, status: number, type: string, bytes: Uint8Array<ArrayBuffer>) => ({
  ok: true as const,
  url,
  status,
  statusText: String(status),
  headers: new Headers({ "content-type": type }),
  bytes,
});
