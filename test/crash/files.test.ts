/** Files that come and go through the API: all of a request, once, or nothing. */
import { zipSync } from "fflate";
import { expect } from "vitest";
import { text } from "../../src/standin/replies.ts";
import { bytesOf } from "../api/cc/files-support.ts";
import { MADE } from "./client.ts";
import { matrix } from "./matrix.ts";

const FORM = [
  "--b",
  'Content-Disposition: form-data; name="file"; filename="form/one.txt"',
  "",
  "one",
  "--b",
  'Content-Disposition: form-data; name="file"; filename="form/two.txt"',
  "",
  "two",
  "--b--",
  "",
].join("\r\n");

const ZIP = new Uint8Array(zipSync({ "z/one.txt": bytesOf("1"), "z/two.txt": bytesOf("2") }));

/** More than a Worker keeps of a body, and than the workspace keeps in one piece. */
const LARGE = "0123456789abcdef".repeat(75_000);

matrix("files through the API", { attached: 115, alone: 116 }, () => ({
  answer: () => text("I see."),
  points: ["upload", "write", "commit", "committed", "answer", "sent"],
  writes: 1,
  async play(client) {
    const files = `${client.path}/files`;
    // A key keeps the first answer.
    const status = client.mode === "alone" ? [201] : MADE;
    await client.put("a.txt", "a");
    await client.put("CLAUDE.md", "Be brief.");
    const form = { "content-type": "multipart/form-data; boundary=b" };
    await client.call("POST", files, FORM, { headers: form, status });
    const zip = new Blob([ZIP]).stream();
    const archive = { "content-type": "application/zip" };
    await client.call("POST", `${files}/zip`, zip, { headers: archive, status });
    await client.upload("large.bin", LARGE);
    await client.call("POST", `${files}/move`, { from: "a.txt", to: "deep/er/a.txt" });
    await client.call("POST", `${files}/move`, { from: "form", to: "moved" });
    await client.call("POST", `${files}/directories`, { path: "x/y" }, { status });
    await client.call("DELETE", `${files}/z?recursive=true`);
    await client.turn("Look");
  },
  check({ files }) {
    const names = ["CLAUDE.md", "deep/er/a.txt", "large.bin", "moved/one.txt", "moved/two.txt"];
    const kept = Object.entries(files).filter(([, what]) => what.startsWith("file"));
    expect(kept.map(([path]) => path.replace("/workspace/", ""))).toEqual(names);
  },
}));
