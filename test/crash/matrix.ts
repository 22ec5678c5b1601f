/**
 * Ends a session's object at every place where the outside can see it: a script is run once to count
 * the places, and then once for each of them, with the object ended there.
 */
import { afterEach, beforeEach, expect, test } from "vitest";
import { beHome } from "../support/home.ts";
import type { Mode } from "./client.ts";
import { difference } from "./difference.ts";
import { type Place, placeName } from "./faults.ts";
import { type Ending, quietly, type Ran, type Script } from "./run.ts";
import { without } from "./story.ts";

/** How many places there are at least; fewer would mean that some are not looked at any more. */
export type Least = Record<Mode, number>;

const MODES: Mode[] = ["attached", "alone"];
const TIMEOUT_MS = 300_000;
/** After so many broken runs no more are made: each may have stood still for a while. */
const ENOUGH = 8;
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
    const endings = places.flatMap((at, k) => [
      { at, again: 0 },
      ...(k % SECONDS === 0 ? [{ at, again: 1 + ((k / SECONDS) % LATEST) }] : []),
    ]);
    const unknown = new Map<string, number>();
    const notes = () => [...unknown].map(([call, n]) => `${call} unknown in ${n} runs`);
    await each(`${name}, ${mode}`, whole, endings, notes, async (ending) => {
      const one = script();
      const ran = await quietly(one, mode, ending);
      checkEnded(ran, whole);
      checkStory(ran, whole, one);
      for (const call of ran.unknown) unknown.set(call, (unknown.get(call) ?? 0) + 1);
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
    const endings = writes.map((at) => ({ at, fails: true }));
    await each(
      `${name}, a disk that fails`,
      whole,
      endings,
      () => [],
      async (ending) => {
        const { faults } = await quietly(script(), "attached", ending);
        const { failed, files } = faults;
        if (failed === null) throw new Error("the disk did not fail");
        expect(files.get(failed + 1), "files after the call").toBe(files.get(failed));
        expect(faults.torn).toEqual([]);
      },
    );
    expect(writes.length, "places").toBeGreaterThanOrEqual(least);
  });
}

/** The run that all others are compared with. */
async function undisturbed(script: () => Script, mode: Mode): Promise<Ran> {
  const whole = await quietly(script(), mode, { at: null });
  const again = await quietly(script(), mode, { at: null });
  expect(again.faults.counts, "the places are the same each time").toEqual(whole.faults.counts);
  expect(again.story, "so is the story").toEqual(whole.story);
  expect([...whole.faults.torn, ...whole.unknown]).toEqual([]);
  return whole;
}

/** Makes a run for each ending, and says how many there were and which are broken. */
async function each<E extends Ending & { at: Place }>(
  name: string,
  { faults: { places, counts } }: Ran,
  endings: readonly E[],
  notes: () => string[],
  act: (ending: E) => Promise<void>,
): Promise<void> {
  const began = Date.now();
  const broken: string[] = [];
  for (const ending of endings) {
    if (broken.length === ENOUGH) break;
    try {
      await act(ending);
    } catch (error) {
      const { at, again = 0 } = ending;
      const where = placeName(at) + (again > 0 ? ` and ${again} points later` : "");
      broken.push(`ended at ${where}: ${error instanceof Error ? error.message : error}`);
    }
  }
  const kinds = [...Object.entries(counts).map(([point, n]) => `${point} ${n}`), ...notes()];
  const seconds = ((Date.now() - began) / 1000).toFixed(1);
  const points = new Set(endings.map(({ at }) => placeName(at))).size;
  const figures = `${points} of ${places.length} points, ${endings.length} runs, ${seconds} s`;
  console.log(`${name}: ${figures} (${kinds.join(", ")})`);
  if (broken.length === 0) return;
  const some = broken.length === ENOUGH ? "at least " : "";
  throw new Error(`${some}${broken.length} runs are broken\n${broken.join("\n")}`);
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
