/**
 * The git library has one lock for its whole process, by names inside of a repository. In an isolate
 * with several sessions one would wait for another's, go on in the other's object, and wait for ever
 * for one that died. Here each workspace has a lock of its own.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import AsyncLock from "async-lock";
import type { GitLibrary } from "./git.ts";
import type { Workspace } from "./workspace.ts";

const current = new AsyncLocalStorage<AsyncLock>();
const locks = new WeakMap<Workspace, AsyncLock>();

// The library's own instance is not reachable from outside, so every instance asks for the current one.
const { acquire } = AsyncLock.prototype;
AsyncLock.prototype.acquire = function (this: AsyncLock, ...asked: unknown[]): Promise<unknown> {
  return Reflect.apply(acquire, current.getStore() ?? this, asked);
};

/** The library, with calls that use the lock of this workspace. */
export function withLockOf(workspace: Workspace, library: GitLibrary): GitLibrary {
  const lock = locks.get(workspace) ?? new AsyncLock({ maxPending: Number.POSITIVE_INFINITY });
  locks.set(workspace, lock);
  return new Proxy(library, {
    get(target, name, receiver) {
      const member: unknown = Reflect.get(target, name, receiver);
      if (typeof member !== "function") return member;
      return (...asked: unknown[]) => current.run(lock, () => Reflect.apply(member, target, asked));
    },
  });
}
