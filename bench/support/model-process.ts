/** The model as a process: says its URL to its parent and serves until it is ended. */
import { startModel } from "./model.ts";

const { url } = await startModel();
process.send?.(url);

// Without its parent nobody needs it.
process.once("disconnect", () => process.exit());
