/** The least grave lines of the operator's log that are written: `LOG_LEVEL`. */
import { readConfig, type Variables } from "./config.ts";
import { writeFrom } from "./log-line.ts";

/** Follows the variables. An isolate has one configuration, whichever of its parts asks first. */
export function followLogLevel(env: Variables): void {
  const result = readConfig(env);
  if (result.ok) writeFrom(result.config.logLevel);
}
