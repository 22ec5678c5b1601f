/** The `WEBHOOK_KEY` of a server that was given none: made once, and kept beside its data. */
import { randomBytes } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { VARIABLES } from "../src/shared/config.ts";
import { CannotStart } from "./server.ts";

const FILE = "webhook-key";

/**
 * The key in the folder of the data; it is made where there is none.
 *
 * @throws CannotStart when the file holds something else
 */
export async function localKey(data: string): Promise<string> {
  const path = join(data, FILE);
  const known = await readKey(path);
  if (known !== null) return known;
  const key = randomBytes(32).toString("base64");
  await mkdir(data, { recursive: true, mode: 0o700 });
  try {
    await writeFile(path, `${key}\n`, { mode: 0o600, flag: "wx" });
    return key;
  } catch (error) {
    // Another start has made it in this moment.
    if (isCode(error, "EEXIST")) return (await readKey(path)) ?? key;
    throw error;
  }
}

async function readKey(path: string): Promise<string | null> {
  const text = await readFile(path, "utf8").catch((error: unknown) => {
    if (isCode(error, "ENOENT")) return null;
    throw error;
  });
  if (text === null) return null;
  const { rule, read } = VARIABLES.WEBHOOK_KEY;
  if (read(text.trim()) === null) throw new CannotStart(`${path} must hold ${rule}`);
  return text.trim();
}

const isCode = (error: unknown, code: string): boolean =>
  error instanceof Error && "code" in error && error.code === code;
