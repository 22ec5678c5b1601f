/** One run of a script: with the object ended at a place, or undisturbed. */
import { expect } from "vitest";
import type { JsonObject } from "../../src/shared/content.ts";
import type { RecordedRequest } from "../../src/standin/journal.ts";
import { watchCalls } from "./calls.ts";
import { checkAlways, checkErased, checkSession, type Finished, removeSession } from "./checks.ts";
import { Client, type Mode } from "./client.ts";
import { RunClock } from "./clock.ts";
import { keepCode } from "./code.ts";
import { Faults, type Point, type Visit } from "./faults.ts";
import { type Answering, answering, dropHolds } from "./model.ts";
import { dialFirst } from "./order.ts";
import { Platform } from "./platform.ts";
import { keepLines } from "./quiet.ts";
import { history, type Story, story, unknownCalls } from "./story.ts";

/** Where calls of `once` tools are seen; other scripts have looked at the model's answers. */
export const ONCE: readonly Point[] = [
  "tool",
  "write",
  "outside",
  "tool_ran",
  "sent",
  "commit",
  "committed",
  "push",
];

export interface Script {
  answer: Answering;
  /** What the session is created with. */
  session?: JsonObject;
  play(client: Client): Promise<void>;
  /** The session is deleted by the script. */
  deletes?: boolean;
  /** The object is ended only at these points; other scripts have looked at the rest. */
  points?: readonly Point[];
  /** Every so many statements that change files the object is ended too. */
  writes?: number;
  /** All tools are `atomic`: files and rows of a call come together. */
  atomic?: boolean;
  /**
   * The calls of `once` tools, each with the one path below which it writes: what became of a call
   * may be unknown.
   */
  once?: Readonly<Record<string, string>>;
  /** Looks at what only this script knows, after a run in which no disk failed. */
  check?(story: Story, unknown: ReadonlySet<string>): void;
}

export interface Ran {
  story: Story;
  /** Calls whose results are not known. */
  unknown: Set<string>;
  faults: Faults;
}

export interface Ending {
  /** Where the object is ended; nowhere if there are none. */
  visits: readonly Visit[];
  /** At the one place the disk fails instead. */
  fails?: boolean;
}

const others = new Set<string>();
let runs = 0;
keepCode();

/** Plays a script, and checks all that holds whatever the script is. */
export const quietly = (script: Script, mode: Mode, ending: Ending): Promise<Ran> =>
  keepLines(async (lines) => {
    const ran = await run(script, mode, ending);
    const errors = lines.filter((line) => line.includes('"event":"error"'));
    // What nobody foresaw is in the log once.
    expect(errors.length, `errors in the log: ${errors}`).toBe(ending.fails ? 1 : 0);
    return ran;
  });

async function run(script: Script, mode: Mode, ending: Ending): Promise<Ran> {
  runs += 1;
  const clock = new RunClock(runs);
  const onCrash = () => {
    clock.drop();
    dropHolds();
  };
  const { visits, fails = false } = ending;
  const { writes = 0, atomic = false } = script;
  const faults = new Faults({ visits, others, onCrash, writes, fails, atomic });
  const orderly = dialFirst(() => faults.crashes === 0);
  const unwatched = watchCalls((object, point) => faults.reach(object, point));
  const platform = new Platform(faults, clock, mode === "alone");
  clock.holds = () => platform.recovers;
  const client = new Client({ run: runs, mode, platform, clock, faults });
  const requests = answering(script.answer);
  try {
    await client.create(script.session);
    await script.play(client);
    await platform.quiet();
    faults.stop();
    const told = await tell({ client, faults, requests }, script);
    const unknown = unknownCalls(told);
    checkTold(requests, unknown);
    if (!fails) script.check?.(told, unknown);
    return { story: told, unknown, faults };
  } finally {
    faults.stop();
    clock.restore();
    unwatched();
    orderly();
    others.add(faults.object ?? "");
  }
}

/** The model is told of a call whose result is not known, and of no other. */
function checkTold(requests: readonly RecordedRequest[], unknown: ReadonlySet<string>): void {
  const said = requests.some(({ body }) => JSON.stringify(body).includes("It was not run again."));
  expect(said, `the model was told that ${[...unknown]} are unknown`).toBe(unknown.size > 0);
}

/** Checks all that holds after a run, and says what a client knows then. */
async function tell(run: Finished, { deletes, once }: Script): Promise<Story> {
  checkAlways(run);
  const { client, faults } = run;
  if (deletes) return story(client, await checkErased(run), null, false);
  const events = await history(client.path);
  await client.caughtUp(events.at(-1)?.id ?? 0);
  const session = await checkSession(run, events);
  const told = await story(client, events, session, once !== undefined || faults.failed !== null);
  await removeSession(run, session);
  return told;
}
