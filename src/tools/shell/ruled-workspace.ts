/**
 * The files of a shell under rules: a script can name a file in ways that nobody foresees, so the
 * rules hold where it is opened, links followed. What a folder holds can still be listed.
 */
import { FsError } from "../../workspace/fs-errors.ts";
import { nameOf, parentOf } from "../../workspace/paths.ts";
import type { Workspace } from "../../workspace/workspace.ts";
import type { FileRules } from "../tool.ts";

type Check = (path: string, other?: unknown) => void;

/** The workspace with each access to a file checked before. */
export function ruledWorkspace(workspace: Workspace, rules: FileRules): Workspace {
  const check = (denies: (path: string) => boolean, real: string): void => {
    if (denies(real)) throw new FsError("EACCES", "permission denied", `a rule denies '${real}'`);
  };
  /** Where the entry itself is; a link at the end is not followed. */
  const entryAt = (path: string): string => {
    const folder = workspace.realPath(parentOf(path));
    return `${folder === "/" ? "" : folder}/${nameOf(path)}`;
  };
  /** The entry, and what is in it: under another name no rule would know it. */
  const whole = (path: string): string[] => {
    const at = entryAt(path);
    const inside = workspace.lstat(at)?.type === "directory" ? workspace.walk(at) : [];
    return [at, ...[...inside].map((entry) => entry.path)];
  };
  const reads: Check = (path) => check(rules.unreadable, workspace.realPath(path));
  const writes: Check = (path) => check(rules.unwritable, workspace.realPath(path));
  const checks: Readonly<Record<string, Check>> = {
    read: reads,
    readRange: reads,
    write: writes,
    setMode: writes,
    makeDirectory: writes,
    remove: (path) => {
      for (const one of whole(path)) check(rules.unwritable, one);
    },
    move: (path, to) => {
      for (const one of whole(path)) {
        check(rules.unwritable, one);
        check(rules.unreadable, one);
      }
      if (typeof to === "string") check(rules.unwritable, entryAt(to));
    },
    link: (_, path) => {
      if (typeof path === "string") check(rules.unwritable, entryAt(path));
    },
  };
  return new Proxy(workspace, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== "function") return value;
      return (...given: unknown[]) => {
        const [path, other] = given;
        if (typeof path === "string") checks[String(name)]?.(path, other);
        return value.apply(target, given);
      };
    },
  });
}
