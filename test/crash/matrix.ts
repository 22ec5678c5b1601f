/**
 * Ends a session's object at every place where the outside can see it: a script is run once to count
 * the places, and then again until the object was ended at each of them. To play a script costs more
 * than an end of the object, so a run has several, between which the session goes on.
 */
import { afterEach, beforeEach, expect, test } from "vitest";
import { beHome } from "../support/home.ts";
import type { Mode } from "./client.ts";
import { difference } from "./difference.ts";
import { type Place, placeName, type Visit } from "./faults.ts";
import { quietly, type Ran, type Script } from "./run.ts";
import { without } from "./story.ts";

/** How many places there are at least; fewer would mean that some are not looked at any more. */
export type Least = Record<Mode, number>;

const MODES: Mode[] = ["attached", "alone"];
const TIMEOUT_MS = 300_000;
/** After so many broken runs no more are made: each may have stood still for a while. */
const ENOUGH = 8;
/** From one place to the next of the same run the session comes so many steps further at least, */
const STEPS_BETWEEN = 2;
/** and so often the object is ended in one run at most: five losses of one step would end a turn. */
const MOST_ENDS = 4;
/** At every so many places the object is ended once more while it recovers, */
const SECONDS = 5;
/** after as many points as that at most. */
const LATEST = 9;

function atHome(): void {
  let leave = (): void => {};
  beforeEach(() => {
    leave = beHome();
  });
  afterEach(() => leave());
}

/** Tests a script, with a client that stays and with one that does not. `script` is asked anew for each run. */
export function matrix(name: string, least: Least, script: () => Script): void {
  atHome();
  test.each(MODES)(`${name}, %s`, { timeout: TIMEOUT_MS }, async (mode) => {
    const whole = await undisturbed(script, mode);
    const { points } = script();
    const places = whole.faults.places.filter(({ point }) => points?.includes(point) ?? true);
    const visits = places.flatMap((at, k): Visit[] => [
      { at, again: 0 },
      ...(k % SECONDS === 0 ? [{ at, again: 1 + ((k / SECONDS) % LATEST) }] : []),
    ]);
    const unknown = new Map<string, number>();
    const notes = () => [...unknown].map(([call, n]) => `${call} unknown in ${n} runs`);
    await each(`${name}, ${mode}`, whole, visits, notes, async (some) => {
      const one = script();
      const ran = await quietly(one, mode, { visits: some });
      checkEnded(ran, whole);
      checkStory(ran, whole, one);
      for (const call of ran.unknown) unknown.set(call, (unknown.get(call) ?? 0) + 1);
      return ran.faults.visited;
    });
    const seldom = Object.keys(script().once ?? {}).filter((call) => !unknown.has(call));
    expect(seldom, "calls that no end of the object came into").toEqual([]);
    expect(places.length, "places").toBeGreaterThanOrEqual(least[mode]);
  });
}

/** The same where the disk fails in the middle of an `atomic` tool: nothing of the call is left. */
export function failingDisk(name: string, least: number, script: () => Script): void {
  atHome();
  test(`${name}, a disk that fails`, { timeout: TIMEOUT_MS }, async () => {
    const whole = await undisturbed(script, "attached");
    const { places } = whole.faults;
    const began = places.findIndex(({ point }) => point === "tool");
    const writes = places.slice(began).filter(({ point }) => point === "write");
    const visits = writes.map((at) => ({ at, again: 0 }));
    await each(
      `${name}, a disk that fails`,
      whole,
      visits,
      () => [],
      async ([visit]) => {
        const visits = visit ? [visit] : [];
        const { faults } = await quietly(script(), "attached", { visits, fails: true });
        const { failed, files } = faults;
        if (failed === null) throw new Error("the disk did not fail");
        expect(files.get(failed + 1), "files after the call").toBe(files.get(failed));
        expect(faults.torn).toEqual([]);
        return visits;
      },
    );
    expect(writes.length, "places").toBeGreaterThanOrEqual(least);
  });
}

/** The run that all others are compared with. */
async function undisturbed(script: () => Script, mode: Mode): Promise<Ran> {
  const whole = await quietly(script(), mode, { visits: [] });
  const again = await quietly(script(), mode, { visits: [] });
  expect(again.faults.counts, "the places are the same each time").toEqual(whole.faults.counts);
  expect(again.story, "so is the story").toEqual(whole.story);
  expect([...whole.faults.torn, ...whole.unknown]).toEqual([]);
  return whole;
}

/** Makes runs until each place was visited, and says how many there were and which are broken. */
async function each(
  name: string,
  { faults: { places, counts } }: Ran,
  visits: readonly Visit[],
  notes: () => string[],
  act: (some: readonly Visit[]) => Promise<readonly Visit[]>,
): Promise<void> {
  const began = Date.now();
  const broken: string[] = [];
  const steps = stepsOf(places);
  const left = new Set(visits);
  let runs = 0;
  while (left.size > 0 && broken.length < ENOUGH) {
    const some = together([...left], steps);
    const [first] = some;
    if (first) left.delete(first);
    runs += 1;
    try {
      // Those that were not come to have a run of their own.
      for (const visit of await act(some)) left.delete(visit);
    } catch (error) {
      for (const visit of some) left.delete(visit);
      const where = some.map(visitName).join(", ");
      broken.push(`ended at ${where}: ${error instanceof Error ? error.message : error}`);
    }
  }
  const kinds = [...Object.entries(counts).map(([point, n]) => `${point} ${n}`), ...notes()];
  const seconds = ((Date.now() - began) / 1000).toFixed(1);
  const points = new Set(visits.map(({ at }) => placeName(at))).size;
  const figures = `${points} of ${places.length} points, ${visits.length} visits, ${runs} runs, ${seconds} s`;
  console.log(`${name}: ${figures} (${kinds.join(", ")})`);
  if (broken.length === 0) return;
  const some = broken.length === ENOUGH ? "at least " : "";
  throw new Error(`${some}${broken.length} runs are broken\n${broken.join("\n")}`);
}

const visitName = ({ at, again }: Visit): string =>
  placeName(at) + (again > 0 ? ` and ${again} points later` : "");

/** The steps of a run by their order. */
const stepsOf = (places: readonly Place[]): ReadonlyMap<number, number> =>
  new Map([...new Set(places.map(({ step }) => step))].map((step, i) => [step, i]));

/**
 * Visits for one run: the first, and others that come so much later that the object has come back and
 * gone on in between.
 */
function together(visits: readonly Visit[], steps: ReadonlyMap<number, number>): Visit[] {
  const some: Visit[] = [];
  let ends = 0;
  let from = 0;
  for (const visit of visits) {
    const step = steps.get(visit.at.step) ?? 0;
    const more = visit.again > 0 ? 2 : 1;
    if (some.length > 0 && (step < from || ends + more > MOST_ENDS)) continue;
    some.push(visit);
    ends += more;
    from = step + STEPS_BETWEEN;
  }
  return some;
}

/** The object was ended, and came back to what its rows say. */
function checkEnded({ faults }: Ran, whole: Ran): void {
  // A place that is not reached proves nothing.
  if (faults.crashes === 0) expect(faults.counts).toEqual(whole.faults.counts);
  expect(faults.crashes, "the object was ended").toBeGreaterThan(0);
  expect(faults.torn).toEqual([]);
  for (const [ended, files] of faults.files) {
    expect(files, `files with ${ended} calls ended`).toBe(whole.faults.files.get(ended));
  }
}

/** Nobody can tell the run from the undisturbed one, but for calls whose results are unknown. */
function checkStory({ story, unknown }: Ran, whole: Ran, { once = {} }: Script): void {
  for (const call of unknown) expect(Object.keys(once), "calls that run once").toContain(call);
  const differs = difference(without(story, unknown, once), without(whole.story, unknown, once));
  if (differs) throw new Error(`the story differs: ${differs}`);
}
