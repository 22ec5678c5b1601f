/**
 * Ends a session's object at every place where the outside can see it: a script is run once to count
 * the places, and then once for each of them, with the object ended there.
 */
import { afterEach, beforeEach, expect, test } from "vitest";
import { beHome } from "../support/home.ts";
import { checkAlways, checkErased, checkSession, type Finished, removeSession } from "./checks.ts";
import { Client, type Mode } from "./client.ts";
import { RunClock } from "./clock.ts";
import { keepCode } from "./code.ts";
import { difference } from "./difference.ts";
import { Faults, type Place, placeName } from "./faults.ts";
import { type Answering, answering, dropHolds } from "./model.ts";
import { dialFirst } from "./order.ts";
import { Platform } from "./platform.ts";
import { keepLines } from "./quiet.ts";
import { history, type Story, story } from "./story.ts";

export interface Script {
  answer: Answering;
  play(client: Client): Promise<void>;
  /** The session is deleted by the script. */
  deletes?: boolean;
}

/** How many places there are at least; fewer would mean that some are not looked at any more. */
export type Least = Record<Mode, number>;

interface Ran {
  story: Story;
  places: Place[];
  counts: Record<string, number>;
  crashes: number;
}

const MODES: Mode[] = ["attached", "alone"];
const TIMEOUT_MS = 300_000;
/** After so many broken runs no more are made: each may have stood still for a while. */
const ENOUGH = 8;
/** At every so many places the object is ended once more while it recovers, */
const SECONDS = 3;
/** after as many points as that at most. */
const LATEST = 9;

const others = new Set<string>();
let runs = 0;
keepCode();

/** Tests a script, with a client that stays and with one that does not. `script` is asked anew for each run. */
export function matrix(name: string, least: Least, script: () => Script): void {
  let leave = (): void => {};
  beforeEach(() => {
    leave = beHome();
  });
  afterEach(() => leave());

  test.each(MODES)(`${name}, %s`, { timeout: TIMEOUT_MS }, async (mode) => {
    const began = Date.now();
    const whole = await quietly(script(), mode, null, 0);
    const again = await quietly(script(), mode, null, 0);
    expect(again.counts, "the places are the same each time").toEqual(whole.counts);
    expect(again.story, "so is the story").toEqual(whole.story);
    const endings = whole.places.flatMap((place, k) => [
      { place, later: 0 },
      ...(k % SECONDS === 0 ? [{ place, later: 1 + ((k / SECONDS) % LATEST) }] : []),
    ]);
    const broken: string[] = [];
    for (const { place, later } of endings) {
      if (broken.length === ENOUGH) break;
      try {
        const ran = await quietly(script(), mode, place, later);
        // A place that is not reached proves nothing.
        if (ran.crashes === 0) expect(ran.counts).toEqual(whole.counts);
        expect(ran.crashes, "the object was ended").toBeGreaterThan(0);
        const differs = difference(ran.story, whole.story);
        if (differs) throw new Error(`the story differs: ${differs}`);
      } catch (error) {
        const where = placeName(place) + (later > 0 ? ` and ${later} points later` : "");
        broken.push(`ended at ${where}: ${error instanceof Error ? error.message : error}`);
      }
    }
    const kinds = Object.entries(whole.counts).map(([point, n]) => `${point} ${n}`);
    const seconds = ((Date.now() - began) / 1000).toFixed(1);
    const count = whole.places.length;
    const figures = `${count} points, ${endings.length} runs, ${seconds} s`;
    console.log(`${name}, ${mode}: ${figures} (${kinds.join(", ")})`);
    if (broken.length > 0) {
      const some = broken.length === ENOUGH ? "at least " : "";
      throw new Error(`${some}${broken.length} runs are broken\n${broken.join("\n")}`);
    }
    expect(count, "places").toBeGreaterThanOrEqual(least[mode]);
  });
}

const quietly = (script: Script, mode: Mode, at: Place | null, again: number): Promise<Ran> =>
  keepLines(async (lines) => {
    const ran = await run(script, mode, at, again);
    expect(
      lines.filter((line) => line.includes('"event":"error"')),
      "errors in the log",
    ).toEqual([]);
    return ran;
  });

async function run(
  { answer, play, deletes = false }: Script,
  mode: Mode,
  at: Place | null,
  again: number,
): Promise<Ran> {
  runs += 1;
  const clock = new RunClock(runs);
  const onCrash = () => {
    clock.drop();
    dropHolds();
  };
  const faults = new Faults({ at, again, others, onCrash });
  const undo = dialFirst(() => faults.crashes === 0);
  const platform = new Platform(faults, clock, mode === "alone");
  clock.holds = () => platform.recovers;
  const client = new Client({ run: runs, mode, platform, clock, faults });
  const requests = answering(answer);
  try {
    await client.create();
    await play(client);
    await platform.quiet();
    faults.stop();
    const told = await tell({ client, faults, requests }, deletes);
    return { story: told, places: faults.places, counts: faults.counts, crashes: faults.crashes };
  } finally {
    faults.stop();
    clock.restore();
    undo();
    others.add(faults.object ?? "");
  }
}

/** Checks all that holds after a run, and says what a client knows then. */
async function tell(run: Finished, deletes: boolean): Promise<Story> {
  checkAlways(run);
  if (deletes) return story(run.client, await checkErased(run), null);
  const events = await history(run.client.path);
  await run.client.caughtUp(events.at(-1)?.id ?? 0);
  const session = await checkSession(run, events);
  const told = await story(run.client, events, session);
  await removeSession(run, session);
  return told;
}
