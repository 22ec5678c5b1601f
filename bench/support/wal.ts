/** Commits of a SQLite database, as its write-ahead log tells them. */
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";

const HEADER = 32;
const FRAME_HEADER = 24;

/**
 * Counts the commits in a write-ahead log since its last checkpoint: a frame that ends a
 * transaction holds the size of the database, every other one a zero (sqlite.org/fileformat2, 4.1).
 */
export async function commitsIn(path: string): Promise<number> {
  const wal = await readFile(path);
  if (wal.length < HEADER) return 0;
  const page = wal.readUInt32BE(8);
  const salt = wal.subarray(16, 24);
  let commits = 0;
  for (let at = HEADER; at + FRAME_HEADER + page <= wal.length; at += FRAME_HEADER + page) {
    // Frames behind the last checkpoint are left over from before and carry another salt.
    if (!wal.subarray(at + 8, at + 16).equals(salt)) break;
    if (wal.readUInt32BE(at + 4) > 0) commits++;
  }
  return commits;
}

/** The write-ahead logs of the objects of a class, the one written last first. */
export async function logsOf(data: string, className: string): Promise<string[]> {
  const all = await readdir(data, { recursive: true });
  const logs = all.filter(
    (path) => path.includes(`-${className}/`) && path.endsWith(".sqlite-wal"),
  );
  const aged = await Promise.all(
    logs.map(async (path) => ({
      path: join(data, path),
      at: (await stat(join(data, path))).mtimeMs,
    })),
  );
  return aged.sort((a, b) => b.at - a.at).map(({ path }) => path);
}
