/** A merge that waits for its conflicts to be solved: the commit that is being merged. */
import type { Repository } from "./repository.ts";

const fileOf = ({ dir }: Repository): string => `${dir}/.git/MERGE_HEAD`;

export async function mergeHead(repository: Repository): Promise<string | null> {
  const { promises } = repository.at.fs;
  try {
    return String(await promises.readFile(fileOf(repository), "utf8")).trim();
  } catch {
    return null;
  }
}

export const beginMerge = (repository: Repository, theirs: string): Promise<void> =>
  repository.at.fs.promises.writeFile(fileOf(repository), `${theirs}\n`);

export async function endMerge(repository: Repository): Promise<void> {
  if ((await mergeHead(repository)) !== null) {
    await repository.at.fs.promises.unlink(fileOf(repository));
  }
}
