/** What rows say of compactions. */
import type { ModelBlock } from "./content.ts";

/** Why a context was not compacted; a call that failed has the code of its failure. */
export type CompactionEnd = "nothing" | "interrupted" | "deleted" | "superseded" | (string & {});

/**
 * Who asks for a compaction: the client, the size of the context, a window that was full, time that
 * nothing happened in, or a new model that the context is too large for.
 */
export type CompactionTrigger = "client" | "threshold" | "overflow" | "idle" | "model";

/** A signed block of the API, or a summary that the model was asked for. */
export type CompactionMethod = "api" | "summary";

export interface CompactedBody {
  /** Seq of the `compaction.requested`. */
  request: number;
  turn: number | null;
  method: CompactionMethod;
  /** With a block: the epoch in which it is sent as it is. */
  epoch?: number;
  /** What stands for all that was covered: the API's block as received, or the model's text. */
  block?: ModelBlock;
  summary?: string;
  /** The context goes on with this row, behind the summary; everything before it is covered. */
  start: number;
  /** It covers less than it was to: the model takes no more at once. */
  part?: true;
  /** All thinking from before this row is left out from now on. */
  strip_thinking: boolean;
  /** Seqs of instructions that were covered and are given again here. */
  instructions?: number[];
  /** Messages of the context, those of the system not counted. */
  messages_before: number;
  messages_after: number;
  tokens_before: number;
  /** An estimate. */
  tokens_after: number;
  /** Decoded bytes of the images and documents that stay. */
  media: number;
  /** Of all calls that it took. */
  cost_usd: number | null;
}
