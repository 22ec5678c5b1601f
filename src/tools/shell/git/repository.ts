/** The repository that a command works on: where it is, what its names mean. */
import type { ReadCommitResult } from "isomorphic-git";
import type { Git } from "../../../workspace/git.ts";
import { normalized } from "../../../workspace/kept-paths.ts";
import { GitExit } from "./arguments.ts";

export interface Person {
  name: string;
  email: string;
}

const DEFAULT_PERSON: Person = { name: "Ledge", email: "ledge@localhost" };

/** `git config --global` is kept in a file of this folder. */
export const GLOBAL_GITDIR = "/tmp/.git-global";

/** What a command knows besides its arguments. */
export interface Place {
  git: Git;
  cwd: string;
  /** Exported variables. */
  env: Readonly<Record<string, string>>;
  /** `-c name=value` in front of the subcommand. */
  config: ReadonlyMap<string, string>;
}

export class Repository {
  readonly dir: string;
  readonly #place: Place;

  private constructor(dir: string, place: Place) {
    this.dir = dir;
    this.#place = place;
  }

  /** @throws GitExit when the folder belongs to no repository */
  static async open(place: Place): Promise<Repository> {
    const { git, fs } = place.git;
    try {
      return new Repository(await git.findRoot({ fs, filepath: place.cwd }), place);
    } catch {
      throw new GitExit("fatal: not a git repository (or any of the parent directories): .git");
    }
  }

  get git(): Git["git"] {
    return this.#place.git.git;
  }

  /** What each call of the library needs. */
  get at(): Pick<Git, "fs" | "cache"> & { dir: string } {
    const { fs, cache } = this.#place.git;
    return { fs, cache, dir: this.dir };
  }

  get http(): Git["http"] {
    return this.#place.git.http;
  }

  /** A path as it was given, relative to the root of the repository; `.` is the root. */
  path(given: string): string {
    const whole = normalized(given.startsWith("/") ? given : `${this.#place.cwd}/${given}`);
    if (whole === this.dir) return ".";
    if (!whole.startsWith(`${this.dir}/`)) {
      throw new GitExit(`fatal: ${given}: '${given}' is outside repository at '${this.dir}'`);
    }
    return whole.slice(this.dir.length + 1);
  }

  paths(given: readonly string[]): string[] {
    return given.map((one) => this.path(one));
  }

  async branch(): Promise<string | null> {
    return (await this.git.currentBranch({ ...this.at })) ?? null;
  }

  /** The newest commit; null when there is none yet. */
  async head(): Promise<string | null> {
    return this.git.resolveRef({ ...this.at, ref: "HEAD" }).catch(() => null);
  }

  commit(oid: string): Promise<ReadCommitResult> {
    return this.git.readCommit({ ...this.at, oid });
  }

  /** @throws GitExit when there is no such commit */
  async resolve(revision: string): Promise<string> {
    const oid = await this.find(revision);
    if (oid !== null) return oid;
    throw new GitExit(
      `fatal: ambiguous argument '${revision}': unknown revision or path not in the working tree.`,
    );
  }

  /** The commit that a name means: a branch, a tag, an id or its beginning, with `~2` and `^`. */
  async find(revision: string): Promise<string | null> {
    const [, base = "", steps = ""] = /^(.*?)((?:~\d*|\^\d*)*)$/.exec(revision) ?? [];
    let oid = await this.#base(base === "@" || base === "" ? "HEAD" : base);
    for (const [step] of steps.matchAll(/~\d*|\^\d*/g)) {
      const count = step.length > 1 ? Number(step.slice(1)) : 1;
      if (step.startsWith("~")) {
        for (let i = 0; i < count && oid !== null; i++) oid = await this.#parent(oid, 1);
      } else if (oid !== null && count > 0) {
        oid = await this.#parent(oid, count);
      }
    }
    return oid;
  }

  async #base(name: string): Promise<string | null> {
    const { git, at } = this;
    try {
      const oid = await git.resolveRef({ ...at, ref: name });
      return (await this.commit(oid)).oid;
    } catch {
      if (!/^[0-9a-f]{4,40}$/.test(name)) return null;
    }
    try {
      const oid = await git.expandOid({ ...at, oid: name });
      return (await this.commit(oid)).oid;
    } catch {
      return null;
    }
  }

  async #parent(oid: string, n: number): Promise<string | null> {
    const { commit } = await this.commit(oid);
    const parent = commit.parent[n - 1];
    if (parent === undefined) return null;
    // Where a shallow clone ends, the parent's id is known and the parent is not there.
    return this.commit(parent).then(
      () => parent,
      () => null,
    );
  }

  /** Who a commit is from: variables, configuration, and else the server itself. */
  async person(role: "AUTHOR" | "COMMITTER"): Promise<Person> {
    const { env } = this.#place;
    return {
      name: env[`GIT_${role}_NAME`] ?? (await this.config("user.name")) ?? DEFAULT_PERSON.name,
      email: env[`GIT_${role}_EMAIL`] ?? (await this.config("user.email")) ?? DEFAULT_PERSON.email,
    };
  }

  async config(path: string): Promise<string | undefined> {
    const { config, git } = this.#place;
    const { fs } = git;
    return (
      config.get(path) ??
      asText(await this.git.getConfig({ ...this.at, path })) ??
      asText(await this.git.getConfig({ fs, gitdir: GLOBAL_GITDIR, path }).catch(() => undefined))
    );
  }
}

const asText = (value: unknown): string | undefined =>
  value === undefined || value === null ? undefined : String(value);

export const shortId = (oid: string): string => oid.slice(0, 7);

/** A path is one of those asked for, or lies below one. */
export const isBelow = (path: string, asked: readonly string[]): boolean =>
  asked.length === 0 ||
  asked.some((one) => one === "." || path === one || path.startsWith(`${one}/`));
