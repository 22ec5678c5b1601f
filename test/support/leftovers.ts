/** What a test file can leave behind for the next one, with which it shares its isolate. */
import { env } from "cloudflare:workers";
import unsafe from "workerd:unsafe";
import { expect } from "vitest";
import { onFaultPoint } from "../../src/session/fault-points.ts";
import { clock } from "../../src/shared/clock.ts";
import { localStandin } from "../../src/standin/local.ts";
import { keepWorker } from "./code.ts";
import { home } from "./home.ts";

const realTime = { ...clock };
const realFetch = globalThis.fetch;

/** The Worker's variables, without its bindings. */
const variablesNow = () => Object.entries(env).filter(([, value]) => typeof value === "string");
const variables = variablesNow();

// Whoever asks for it first decides its pace, and that must not be decided by the order of the files.
const standin = localStandin(0);

keepWorker();

/**
 * Ends all objects with what they stored and forgets what the model was told. What a file itself has
 * changed it must have put back.
 */
export async function leaveNothing(): Promise<void> {
  const left = { clock: { ...clock }, fetch: globalThis.fetch, variables: variablesNow() };
  Object.assign(clock, realTime);
  globalThis.fetch = realFetch;
  onFaultPoint(null);
  // In the context of an object this would end itself, and with it the whole runtime.
  await home();
  // `reset` of `cloudflare:test` does no more, but to import it loads the whole Worker.
  await unsafe.deleteAllDurableObjects();
  standin.reset();
  expect(left.variables, "the file leaves other variables").toEqual(variables);
  expect(left.clock, "the file leaves another clock").toEqual(realTime);
  expect(left.fetch, "the file leaves another fetch").toBe(realFetch);
}
