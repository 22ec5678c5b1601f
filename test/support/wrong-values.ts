/** For each variable of the configuration a value that breaks its rule. */
import { VARIABLES, type VariableName } from "../../src/shared/config.ts";

/** The second is for variables that take nearly any text. */
const CANDIDATES = ["\u0001 wrong,", "x".repeat(100_000)];

const wrongValue = (name: VariableName): string => {
  const found = CANDIDATES.find((text) => VARIABLES[name].read(text) === null);
  if (found === undefined) throw new Error(`no value is wrong for ${name}`);
  return found;
};

// `Object.keys` forgets what the names are.
const NAMES = Object.keys(VARIABLES) as VariableName[];

export const WRONG_VALUES: readonly (readonly [VariableName, string])[] = NAMES.map((name) => [
  name,
  wrongValue(name),
]);
