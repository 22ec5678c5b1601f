/** What all admissions share: their results, and the options and limits that a turn gets. */
import type { ContentBlock } from "../shared/content.ts";
import type { Fact, Limits, TurnOptions } from "../shared/rows.ts";
import type { Permissions } from "../shared/tools.ts";
import type { AskedLimits, AskedOptions, Command, Refusal, Submission } from "./commands.ts";
import type { Draft } from "./draft.ts";
import { mediaBytes } from "./media.ts";
import type { State } from "./state.ts";

/** Decoded bytes of images and documents that one context may hold. */
const CONTEXT_MEDIA_BYTES = 20_000_000;

/** What the session knows besides its state. */
export interface Surroundings {
  /** The kept blocks of the open model call and its end, as an interrupt leaves them. */
  cut: (draft: Draft) => Fact[];
  /** What became of a tool call that is not open. */
  settled: (tool: string) => SettledCall | null;
  /** Somebody is still reading the response of the submission with this first row. */
  read: (submission: number) => boolean;
  /** The session's storage takes no further messages. */
  full: boolean;
  /** Percent of the window above which a context is compacted: `COMPACT_AT_PERCENT`. */
  compactAt: number;
  /** The row is an input. */
  isInput: (seq: number) => boolean;
  /** The job of an input, if it is one. */
  job: (input: number) => KnownJob | null;
}

/** A tool call that has its result: by whom, and in which submission. */
export interface SettledCall {
  by: "client" | "ledge" | "server";
  turn: number;
  submission: string | null;
}

export interface KnownJob {
  webhook: boolean;
  /** Null before it has ended. */
  end: "done" | "failed" | "cancelled" | null;
}

export type Admission =
  /** `input` is the row by which an outcome names the submission. */
  | {
      kind: "accepted";
      input: number | null;
      turn: number | null;
      stops?: true;
      stopped?: "compaction";
    }
  /** The submission is known: it goes on, or is answered again, from the row `input`. */
  | { kind: "same"; input: number }
  | { kind: "refused"; refusal: Refusal };

export type CommandOf<K extends Command["kind"]> = Extract<Command, { kind: K }>;

export const submitted = ({ submission, key, caller, key_budget }: Submission) => ({
  submission,
  ...(key ? { key } : {}),
  ...(caller === undefined ? {} : { caller }),
  ...(key_budget ? { key_budget } : {}),
});

export const refused = (code: Refusal["code"], message: string, about?: string): Admission => ({
  kind: "refused",
  refusal: { code, message, ...(about === undefined ? {} : { about }) },
});

/**
 * The options of a turn: what the client gave, else those of `running` (for results), else the
 * session's. Definitions that stand in a row already are not written again.
 */
export function optionsOf(
  state: State,
  asked: AskedOptions,
  running: TurnOptions | null,
): TurnOptions {
  const toolset = asked.toolset ?? running?.toolset ?? state.toolset;
  const known = [state.epoch?.base, running?.toolset, state.turn?.options.toolset, state.toolset];
  const model = asked.model ?? running?.model;
  const same = known.find((one) => one && one.seq !== undefined && equal(one.tools, toolset.tools));
  return {
    toolset: same ?? toolset,
    tool_choice: asked.tool_choice ?? running?.tool_choice ?? { type: "auto" },
    parallel_tool_calls: asked.parallel_tool_calls ?? running?.parallel_tool_calls ?? true,
    ...permitted(asked.permissions ?? running?.permissions),
    // Those of a turn that goes on are known: they are not written again.
    ...(asked.settings ? { settings: asked.settings } : {}),
    ...(model ? { model } : {}),
    ...(asked.system === undefined ? {} : { system: asked.system }),
    ...(asked.cwd === undefined ? {} : { cwd: asked.cwd }),
    ...(asked.system_prompt === undefined ? {} : { system_prompt: asked.system_prompt }),
  };
}

const permitted = (permissions: Permissions | undefined) => (permissions ? { permissions } : {});

/** A tool that the turn does not have cannot be called. */
export function missingTool({ tool_choice, toolset }: TurnOptions): Admission | null {
  if (tool_choice.type === "any" && Object.keys(toolset.tools).length === 0) {
    return refused("unknown_tool", "The turn has no tools, so none can be required.");
  }
  if (tool_choice.type !== "tool" || Object.hasOwn(toolset.tools, tool_choice.name)) return null;
  return refused("unknown_tool", `The turn has no tool ${tool_choice.name}.`, tool_choice.name);
}

function equal(a: Record<string, string>, b: Record<string, string>): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => a[name] === b[name]);
}

/** `running` are those of the turn that goes on. */
export function limitsOf(
  { max_turns }: State,
  { toolset }: TurnOptions,
  asked: AskedLimits,
  running: Limits | null = null,
): Limits {
  const plain = toolset.builtin || Object.keys(toolset.tools).length === 0;
  const max_budget_usd = asked.max_budget_usd ?? running?.max_budget_usd;
  return {
    max_turns: max_turns ?? (plain ? asked.plain : asked.tools),
    ...(max_budget_usd === undefined ? {} : { max_budget_usd }),
  };
}

export function mediaRefusal(
  state: State,
  content: ContentBlock[],
  replay: boolean,
): Admission | null {
  const excess = mediaExcess(replay ? 0 : state.context.media, content, "the message");
  if (excess === null) return null;
  return refused("media_limit", `${excess} Send smaller ones, or start a new session.`);
}

/** How far images and documents would exceed the limit, in words; null when they do not. */
export function mediaExcess(
  held: number,
  content: readonly ContentBlock[],
  what: string,
): string | null {
  const added = mediaBytes(content);
  if (added === 0 || held + added <= CONTEXT_MEDIA_BYTES) return null;
  return `The images and documents of a conversation may hold ${CONTEXT_MEDIA_BYTES} bytes together; this one holds ${held} and ${what} adds ${added}.`;
}
