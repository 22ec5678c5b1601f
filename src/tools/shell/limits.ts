/** What one call of the shell may use. */
import type { BashOptions } from "just-bash";

const MiB = 1024 * 1024;

/** The longest that a script may run. */
export const MAX_MS = 20_000;
/** Characters that a script may print. */
export const MAX_OUTPUT = MiB;
/** Steps of all awk, jq and sed programs of a script. */
export const MAX_STEPS = 10_000_000;
/** Characters of a result; a longer one goes to a file. */
export const MAX_RESULT = 30_000;
/** Bytes of one answer to `curl`. */
export const MAX_DOWNLOAD = 10 * MiB;
/** Bytes of one file of an archive, and of all of them. */
const MAX_ARCHIVE_FILE = 25 * MiB;
export const MAX_ARCHIVE = 32 * MiB;
/** Bytes of what a script keeps outside of the session's files, until it ends. */
export const MAX_BASE_BYTES = 8 * MiB;

type Limits = NonNullable<BashOptions["executionLimits"]>;

/**
 * An object has 128 MB of memory, which it may share with others, so these are far below the shell's
 * own. `maxOutputSize` counts everything that a command hands on, also to a file or the next
 * command; what the script prints has its own, smaller limit.
 */
export const SHELL_LIMITS: Limits = {
  maxSourceBytes: MiB,
  maxStringLength: 4 * MiB,
  maxHeredocSize: 4 * MiB,
  maxOutputSize: 16 * MiB,
  maxLiveBytes: 24 * MiB,
  maxInputBytes: 64 * MiB,
  maxArrayElements: 100_000,
  maxBraceExpansionResults: 100_000,
  maxArchiveBytes: MAX_ARCHIVE,
  maxArchiveEntryBytes: MAX_ARCHIVE_FILE,
  maxArchiveCompressedBytes: MAX_ARCHIVE_FILE,
  maxTraversalEntries: 100_000,
  maxWorkUnits: 20_000_000,
  // Each may keep a value, and the shell's own limit kept 300 MB.
  maxJqIterations: 2_000_000,
};
