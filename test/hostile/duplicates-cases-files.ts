/** What the routes of a session's files may be asked that has an effect. */
import { zipSync } from "fflate";
import { serveRepository } from "../api/cc/files-git-server.ts";
import { bytesOf, putAll, streamOf } from "../api/cc/files-support.ts";
import { newSession } from "../api/cc/server.ts";
import { type Case, idle, type Ready } from "./duplicates-cases.ts";

const OLD = { "old.txt": "old" };

const withFile = async (): Promise<Ready> => {
  const session = await newSession();
  await putAll(session, OLD);
  return { session };
};

/** There is a git server in the world outside. */
const withServer = async (): Promise<Ready> => {
  await serveRepository({ "README.md": "# new\n" });
  return withFile();
};

/** A form as browsers send it: with another boundary each time. */
function form(): FormData {
  const form = new FormData();
  form.append("file", new File(["new"], "new.txt"));
  form.append("path", "dir");
  return form;
}

const archive = new Uint8Array(zipSync({ "new.txt": bytesOf("new") }));

export const FILE_CASES: Record<string, Case[]> = {
  "PUT /api/sessions/:id/files/*": [
    {
      name: "a new file",
      ready: idle,
      input: "new.txt",
      body: () => "new",
      wrote: {},
      replayed: false,
      statuses: [201, 200],
      files: { "new.txt": "new" },
    },
    {
      name: "a file that must be new",
      ready: idle,
      input: "new.txt",
      body: () => "new",
      headers: { "if-none-match": "*" },
      wrote: {},
      replayed: false,
      statuses: [201, 412],
      files: { "new.txt": "new" },
    },
  ],
  "DELETE /api/sessions/:id/files/*": [
    {
      name: "a file",
      ready: withFile,
      input: "old.txt",
      wrote: {},
      replayed: false,
      statuses: [200, 404],
      files: {},
    },
  ],
  "POST /api/sessions/:id/files": [
    {
      name: "a form",
      ready: withFile,
      body: form,
      wrote: {},
      replayed: true,
      files: { ...OLD, "dir/new.txt": "new" },
    },
  ],
  "POST /api/sessions/:id/files/zip": [
    {
      name: "an archive",
      ready: withFile,
      body: () => streamOf(archive),
      headers: { "content-type": "application/zip" },
      wrote: {},
      replayed: true,
      files: { ...OLD, "new.txt": "new" },
    },
  ],
  "POST /api/sessions/:id/files/move": [
    {
      name: "a file",
      ready: withFile,
      body: { from: "old.txt", to: "new.txt" },
      wrote: {},
      replayed: true,
      files: { "new.txt": "old" },
    },
  ],
  "POST /api/sessions/:id/files/directories": [
    {
      name: "a folder",
      ready: withFile,
      body: { path: "dir" },
      wrote: {},
      replayed: true,
      files: OLD,
    },
  ],
  "POST /api/sessions/:id/files/git": [
    {
      name: "a clone",
      ready: withServer,
      body: { url: "https://git.example/repo.git", path: "repo" },
      wrote: {},
      replayed: true,
    },
  ],
};
