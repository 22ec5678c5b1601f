/**
 * Measures a session's context: as the next call would send it, by itself or through the API's count.
 * It writes nothing, and the loop goes on meanwhile.
 */

import type { Upstream } from "../model/api-client.ts";
import { rulesOf } from "../model/catalogue.ts";
import { countTokens, type Prompt, promptOf } from "../model/count-tokens.ts";
import { buildRequest, type RequestBlock, type RequestMessage } from "../model/request.ts";
import { readConfig, type Variables } from "../shared/config.ts";
import type { TextBlock } from "../shared/content.ts";
import type { Row, TurnOptions } from "../shared/rows.ts";
import {
  type Categories,
  type ContextSize,
  contextSize,
  estimate,
  innerBlocks,
  isMedia,
  knownPrefix,
  measure,
} from "./context-size.ts";
import { documentTokens, imageTokens } from "./context-size-media.ts";
import { Draft } from "./draft.ts";
import { cutFact, planEpoch } from "./epoch.ts";
import { loadMedia, type MediaStore } from "./media.ts";
import { type ContextLog, nextRequest } from "./prepare.ts";
import type { Epoch, OpenTurn, State } from "./state.ts";
import type { Store } from "./store.ts";

/** The message that stands for the next one, which nobody has written yet. */
const NEXT: TextBlock = { type: "text", text: "." };

/** An image's size stands near its beginning; a document's pages near its beginning or end. */
const HEADER_BYTES = 131_072;

/** How large the context is now. */
export async function askContextSize(
  store: Store,
  media: MediaStore,
  { exact, env, upstream }: { exact: boolean; env: Variables; upstream: () => Promise<Upstream> },
): Promise<ContextSize> {
  const config = readConfig(env);
  const percent = config.ok ? config.config.compactAtPercent : 0;
  const { state } = store;
  const next = nextCall(store);
  const said = nextRequest(next.state, next.turn, next.epoch, next.log);
  const messages = withoutNext(said.messages);
  const known = next.epoch.seq === state.epoch?.seq ? knownPrefix(state) : null;
  const size = measure({ ...said, messages }, (block) => mediaTokens(block, media));
  const sized = (categories: Categories, exact: boolean) =>
    contextSize(state, next.epoch, categories, { exact, percent });
  const estimated = sized(estimate(size, known), false);
  if (!exact) return estimated;
  const { params, betas } = buildRequest({
    ...said,
    messages: loadMedia(said.messages, media),
    maxTokens: rulesOf(next.epoch.model, next.epoch.facts).max_output,
    marks: [],
    ttl: "5m",
  });
  const shown = loadMedia([{ role: "user", content: mediaIn(messages) }], media);
  try {
    const counted = await count(await upstream(), promptOf({ params, betas }), {
      waits: !state.turn,
      media: shown[0]?.content ?? [],
    });
    return sized(counted, true);
  } catch {
    // What it said may quote the conversation; the operator's log of calls has the same failures.
    const message = "The API could not be asked for a count, so this is an estimate.";
    return { ...estimated, notice: { code: "count_failed", message } };
  }
}

/** The session as it is when its next call is made: with a turn open, in the epoch of that turn. */
function nextCall(store: Store): {
  state: State;
  turn: OpenTurn;
  epoch: Epoch;
  log: ContextLog;
} {
  const { state, log } = store;
  if (state.turn && state.epoch) return { state, turn: state.turn, epoch: state.epoch, log };
  // The same rows as when a message comes, but not written.
  const draft = new Draft(state, state.at);
  const usual = {
    toolset: state.toolset,
    tool_choice: { type: "auto" as const },
    parallel_tool_calls: true,
  };
  // Its own model and folder were the last turn's alone.
  const { model: _, cwd: __, ...options }: TurnOptions = state.last?.options ?? usual;
  const plan = planEpoch(state, options, false);
  const input = draft.add({
    type: "input",
    body: {
      submission: "",
      turn: draft.next,
      source: "ledge",
      kind: "user",
      content: [NEXT],
      start: "now",
      options,
      limits: { max_turns: 1 },
      hash: "",
      ...(plan.change ? { tool_change: plan.change } : {}),
    },
  });
  if (plan.cut) draft.add(cutFact(input, plan.cut, null));
  const { turn, epoch } = draft.state;
  if (!turn || !epoch) throw new Error("an input opens a turn");
  return { state: draft.state, turn, epoch, log: withRows(log, draft.rows) };
}

/** The log as if these rows stood behind it. */
const withRows = (log: ContextLog, rows: readonly Row[]): ContextLog => ({
  contents: (from, to) => [
    ...log.contents(from, to),
    ...rows.filter(({ seq }) => seq >= from && seq <= to),
  ],
  rowOf: (type, seq) => log.rowOf(type, seq),
});

function withoutNext(messages: readonly RequestMessage[]): RequestMessage[] {
  return messages
    .map(({ role, content }) => ({ role, content: content.filter((block) => block !== NEXT) }))
    .filter(({ content }) => content.length > 0);
}

const mediaIn = (messages: readonly RequestMessage[]): RequestBlock[] =>
  messages.flatMap(({ content }) =>
    content.flatMap((block) => [block, ...innerBlocks(block)].filter(isMedia)),
  );

/**
 * The parts of a prompt by the differences between counts: of all of it, of what is left without its
 * messages, of that without tools, and of its media alone. Thinking is counted only in its place.
 */
async function count(
  upstream: Upstream,
  whole: Prompt,
  { waits, media }: { waits: boolean; media: readonly RequestBlock[] },
): Promise<Categories> {
  const connection = new AbortController();
  const ask = (prompt: Prompt) => countTokens(upstream, prompt, connection.signal);
  const { model, system, tools, tool_choice, thinking } = whole.params;
  const bare = { model, messages: [{ role: "user" as const, content: [NEXT] }] };
  const withSystem = { ...bare, ...(system ? { system } : {}) };
  const withTools = {
    ...withSystem,
    ...(tools ? { tools } : {}),
    ...(tool_choice ? { tool_choice } : {}),
    ...(thinking ? { thinking } : {}),
  };
  try {
    // First, and alone: where it fails the others are not worth asking for.
    const all = await ask(whole);
    const [least, prompted, equipped, shown] = await Promise.all([
      ask({ params: bare, betas: [] }),
      system ? ask({ params: withSystem, betas: [] }) : null,
      tools ? ask({ params: withTools, betas: [] }) : null,
      media.length > 0 ? ask(promptOfMedia(model, media)) : null,
    ]);
    const withPrompt = prompted ?? least;
    const withAll = equipped ?? withPrompt;
    const shownTokens = shown === null ? 0 : shown - least;
    // The message that nobody has written yet is not in the context.
    const used = all - (waits ? least : 0);
    const frame = withAll - least;
    return {
      system: withPrompt - least,
      tools: withAll - withPrompt,
      messages: Math.max(0, used - frame - shownTokens),
      media: shownTokens,
    };
  } finally {
    connection.abort();
  }
}

const promptOfMedia = (model: string, media: readonly RequestBlock[]): Prompt => {
  // Blocks go as they came, also those that the SDK's types do not know.
  const content = [...media, NEXT] as never;
  return { params: { model, messages: [{ role: "user", content }] }, betas: [] };
};

/** What an image or document takes, read from its first bytes. */
function mediaTokens(block: RequestBlock, media: MediaStore): number {
  const source = "source" in block ? block.source : null;
  // Content blocks have one of these sources; a file at the API says nothing of itself.
  const {
    type,
    sha256,
    bytes = 0,
    data = "",
  } = (source ?? {}) as {
    type?: string;
    sha256?: string;
    bytes?: number;
    data?: string;
  };
  const held = type === "media" && sha256 !== undefined;
  if (block.type === "image") {
    if (held) return imageTokens(media.ends(sha256, HEADER_BYTES)[0] ?? new Uint8Array());
    return imageTokens(type === "base64" ? decoded(data) : new Uint8Array());
  }
  if (held) return documentTokens(bytes, media.ends(sha256, HEADER_BYTES));
  return documentTokens((data.length * 3) / 4, type === "base64" ? [decoded(data)] : []);
}

/** The first bytes of a base64 text. */
function decoded(data: string): Uint8Array {
  const start = String(data).slice(0, Math.ceil(HEADER_BYTES / 3) * 4);
  try {
    return Uint8Array.fromBase64(start.slice(0, start.length - (start.length % 4)));
  } catch {
    return new Uint8Array();
  }
}
