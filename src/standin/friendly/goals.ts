/** Goals that are reached by calling tools, each call decided by what the ones before it gave. */
import type { JsonObject } from "../wire.ts";

export interface Step {
  readonly name: string;
  readonly input: JsonObject;
  /** What the call does, as it is told to the user: "Writing a.txt". */
  readonly doing: string;
}

/** What a tool gave. */
export interface Given {
  readonly text: string;
  readonly isError: boolean;
}

export interface Goal {
  /** The next call behind these results of the goal's own; null when there is nothing left to do. */
  next(given: readonly Given[]): Step | null;
  /** The file that it is about, which "it" means from then on. */
  readonly file?: string;
}

export const step = (name: string, input: JsonObject, doing: string): Step => ({
  name,
  input,
  doing,
});

/** One call, whatever it gives. */
export const once = (only: Step, file?: string): Goal => ({
  next: (given) => (given.length === 0 ? only : null),
  ...(file === undefined ? {} : { file }),
});

/** Reads what is there, and then changes it. */
export const readFirst = (file: string, read: Step, change: (text: string) => Step): Goal => ({
  file,
  next(given) {
    const [seen, ...rest] = given;
    if (!seen) return read;
    return rest.length === 0 && !seen.isError ? change(seen.text) : null;
  },
});

/** Tries at once; the tool may want that what is there was read before. */
export const readIfAsked = (file: string, change: Step, read: Step): Goal => ({
  file,
  next(given) {
    const [first, seen, ...rest] = given;
    if (!first) return change;
    if (!seen)
      return first.isError && /has (not been read|been modified)/.test(first.text) ? read : null;
    return rest.length === 0 && !seen.isError ? change : null;
  },
});

/** A call that was made, and what it gave. */
export interface Done extends Step, Given {}

/** How far the goals are. */
export interface Progress {
  readonly done: readonly Done[];
  /** The call to make now. */
  readonly next: Step | null;
  /** A goal has failed, so that so many behind it were not begun. */
  readonly left: number;
}

/** Walks through the goals with the calls that were made for them, in order. */
export function follow(goals: readonly Goal[], calls: readonly Given[]): Progress {
  const rest = [...calls];
  const all: Done[] = [];
  for (const [i, goal] of goals.entries()) {
    const done: Done[] = [];
    for (let now = goal.next(done); now; now = goal.next(done)) {
      const call = rest.shift();
      if (!call) return { done: [...all, ...done], next: now, left: 0 };
      done.push({ ...now, text: call.text, isError: call.isError });
    }
    all.push(...done);
    if (done.at(-1)?.isError) return { done: all, next: null, left: goals.length - i - 1 };
  }
  return { done: all, next: null, left: 0 };
}
