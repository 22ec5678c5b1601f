/** Runs once more for each test file, while what it imports is loaded once for all of them. */
import { afterAll } from "vitest";
import { beHome } from "./home.ts";
import { leaveNothing } from "./leftovers.ts";

const leave = beHome(20);
afterAll(async () => {
  try {
    await leaveNothing();
  } finally {
    leave();
  }
});
