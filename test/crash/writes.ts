/** The files of a session as its object's disk has them, and each statement that changes them. */

/** Opening a workspace makes what is not there yet; that changes no file. */
const WRITE =
  /^\s*(?:INSERT(?! OR IGNORE)|UPDATE|DELETE)\b[\s\S]*?\bvfs_(?:nodes|dirents|chunks)\b/;

type Writes = (sql: SqlStorage) => void;

let writes: Writes | null = null;
const watched = new WeakSet<object>();

export function ignoreFileWrites(): void {
  writes = null;
}

/** Calls `next` before each statement that changes a file, of any object; `sql` is one object's. */
export function onFileWrite(sql: SqlStorage, next: Writes): void {
  writes = next;
  // The platform's class has no name here.
  const prototype: SqlStorage = Object.getPrototypeOf(sql);
  if (watched.has(prototype)) return;
  watched.add(prototype);
  const { exec } = prototype;
  const watching = function (this: SqlStorage, query: string, ...bindings: unknown[]) {
    if (writes && WRITE.test(query)) writes(this);
    return exec.call(this, query, ...bindings);
  };
  Object.defineProperty(prototype, "exec", { value: watching });
}

const NODES = `SELECT d.parent_inode AS parent, d.name, n.inode, n.type, n.mode, n.size, n.link_target AS target,
  (SELECT group_concat(hex(hash)) FROM (SELECT hash FROM vfs_chunks WHERE inode = n.inode ORDER BY idx)) AS content
  FROM vfs_dirents d JOIN vfs_nodes n ON n.inode = d.child_inode ORDER BY d.parent_inode, d.name`;

interface Node {
  [column: string]: SqlStorageValue;
  parent: number;
  name: string;
  inode: number;
}

/** All files and folders by their paths, without their times. It reads only, so it may be asked anywhere. */
export function filesOf(sql: SqlStorage): Record<string, string> {
  const has = "SELECT count(*) AS n FROM sqlite_master WHERE name = ?";
  if (sql.exec<{ n: number }>(has, "vfs_nodes").one().n === 0) return {};
  const nodes = sql.exec<Node>(NODES).toArray();
  const byInode = new Map(nodes.map((node) => [node.inode, node]));
  const pathOf = ({ parent, name }: Node): string => {
    const above = byInode.get(parent);
    return above ? `${pathOf(above)}/${name}` : `/${name}`;
  };
  const files = nodes.map((node): [string, string] => {
    const { type, mode, size, target, content } = node;
    const path = pathOf(node);
    // It has the times of the other files.
    const shown = path.endsWith("/.git/index") ? "" : content;
    return [path, [type, mode, size, target, shown].join(" ")];
  });
  const kept = sql
    .exec<{ sha: string; n: number }>(
      "SELECT sha, count(*) AS n FROM media GROUP BY sha ORDER BY sha",
    )
    .toArray()
    .map(({ sha, n }): [string, string] => [`media ${sha}`, String(n)]);
  return Object.fromEntries([...files.sort(([a], [b]) => (a < b ? -1 : 1)), ...kept]);
}
