/** Turns and tool results as clients send them, made into what a session takes. */
import * as v from "valibot";
import { readLongJson } from "../../http/body.ts";
import { hashJson } from "../../http/canonical.ts";
import type { HttpContext } from "../../http/context.ts";
import { type Media, takeMedia, type WireBlock } from "../../http/media.ts";
import { moderate, promptTexts } from "../../http/moderation.ts";
import { ProblemError } from "../../http/problems.ts";
import { parse } from "../../http/validate.ts";
import type { AskedOptions, Command, ToolResult } from "../../session/commands.ts";
import type { Json } from "../../shared/content.ts";
import type { ToolChoice, Toolset } from "../../shared/tools.ts";
import { BudgetField, ModelField, SystemField } from "../common/fields.ts";
import { limitsOf } from "../common/limits.ts";
import { turnModel } from "../common/models.ts";
import { refusalProblem } from "../common/submission.ts";
import { CONTENT_MEMBERS, MessageContent, ResultContent } from "./content.ts";
import { PermissionsField } from "./permissions.ts";
import { decodeSettings, SETTINGS } from "./settings.ts";
import { checkChoice, decodeChoice, decodeTools, ToolList } from "./tools.ts";

const MAX_RESULTS = 1000;
/** What a request's images and documents may hold together, which is what a context may hold. */
const MAX_MEDIA_BYTES = 20_000_000;

const OPTIONS = {
  tools: v.nullish(ToolList),
  tool_choice: v.optional(v.custom<Json>(() => true)),
  parallel_tool_calls: v.nullish(v.boolean()),
  stream: v.nullish(v.boolean()),
};

export const TurnRequest = v.object({
  input: MessageContent,
  on_busy: v.nullish(v.picklist(["queue", "steer", "interrupt", "reject"]), "queue"),
  permissions: v.nullish(PermissionsField),
  max_budget_usd: v.nullish(BudgetField),
  model: v.nullish(ModelField),
  system: v.nullish(SystemField),
  ...SETTINGS,
  ...OPTIONS,
});

export const ToolCallId = v.pipe(v.string(), v.minLength(1), v.maxLength(256));

export const ResultsRequest = v.object({
  results: v.pipe(
    v.array(
      v.object({
        tool_call_id: ToolCallId,
        content: ResultContent,
        name: v.nullish(v.string()),
        is_error: v.nullish(v.boolean()),
      }),
    ),
    v.minLength(1),
    v.maxLength(MAX_RESULTS),
  ),
  max_budget_usd: v.nullish(BudgetField),
  ...OPTIONS,
});

type Options = Pick<
  v.InferOutput<typeof TurnRequest>,
  "tools" | "tool_choice" | "parallel_tool_calls"
>;

export type TurnCommand = Extract<Command, { kind: "input" | "results" | "confirmations" }>;

export interface Decoded<C extends TurnCommand = TurnCommand> {
  command: C;
  media: Media[];
  /** SSE or JSON; null leaves it to the `Accept` header. */
  stream: boolean | null;
}

/** The body of `POST …/turns`. Throws ProblemError when it is wrong. */
export async function readTurn(c: HttpContext): Promise<Decoded> {
  const config = c.get("config");
  const { request, hash } = await read(c, TurnRequest);
  moderate(config, "native", [...promptTexts(request.input), request.system ?? ""]);
  const replay = isReplay(request.input);
  const { permissions } = request;
  const settings = decodeSettings(request);
  const options = {
    ...(await decodeOptions(request, "input")),
    ...(permissions ? { permissions } : {}),
    ...(settings ? { settings } : {}),
    ...(request.model == null ? {} : { model: await turnModel(c, request.model) }),
    ...(request.system?.trim() ? { system: request.system } : {}),
  };
  const field = "body -> input";
  const { content, media } = await takeMedia(request.input, {
    field,
    allow: config.fetchAllowHosts,
  });
  return {
    command: {
      kind: "input",
      content,
      on_busy: request.on_busy,
      options,
      limits: limitsOf(config, request.max_budget_usd ?? config.turnBudget),
      replay,
      hash,
    },
    media,
    stream: request.stream ?? null,
  };
}

/** The body of `POST …/tool-results`. Throws ProblemError when it is wrong. */
export async function readResults(
  c: HttpContext,
): Promise<Decoded<Extract<TurnCommand, { kind: "results" }>>> {
  const config = c.get("config");
  const { request, hash } = await read(c, ResultsRequest);
  const options = await decodeOptions(request, "results");
  const results: ToolResult[] = [];
  const media = new Map<string, Media>();
  let bytes = 0;
  for (const [i, result] of request.results.entries()) {
    const field = `body -> results -> ${i} -> content`;
    const taken = await takeMedia(result.content, { field, allow: config.fetchAllowHosts });
    for (const one of taken.media) {
      if (!media.has(one.sha256)) bytes += one.bytes.byteLength;
      media.set(one.sha256, one);
    }
    if (bytes > MAX_MEDIA_BYTES) throw tooMuchMedia();
    const { tool_call_id: tool, is_error } = result;
    results.push({ tool, content: taken.content, is_error: is_error ?? false });
  }
  return {
    command: {
      kind: "results",
      results,
      options,
      limits: limitsOf(config, request.max_budget_usd ?? null),
      hash,
    },
    media: [...media.values()],
    stream: request.stream ?? null,
  };
}

/** The parsed body and its hash. The raw one, which may be large, is not kept. */
async function read<S extends v.GenericSchema>(
  c: HttpContext,
  schema: S,
): Promise<{ request: v.InferOutput<S>; hash: string }> {
  const body = await readLongJson(c.req.raw, c.get("config").maxBodyBytes, CONTENT_MEMBERS);
  return { request: parse(schema, body), hash: await hashJson(body) };
}

/**
 * What a request says of its tools. A message without tools that lets none be called has none at
 * all, while results without tools go on with those of their turn.
 */
async function decodeOptions(asked: Options, kind: "input" | "results"): Promise<AskedOptions> {
  const given = asked.tools ? await decodeTools(asked.tools, "body -> tools") : null;
  const decoded = decodeChoice(asked.tool_choice);
  const choice: ToolChoice | null = decoded?.choice ?? null;
  const bare = kind === "input" && choice?.type === "none";
  const toolset: Toolset | null = given ?? (bare ? { tools: {} } : null);
  if (choice) checkChoice(choice, toolset);
  return {
    toolset,
    tool_choice: choice,
    parallel_tool_calls: asked.parallel_tool_calls ?? decoded?.parallel ?? null,
  };
}

const REPLAY_OPENING = "Resume this Hermes conversation state";
const REPLAY_TRANSCRIPT = "Previous transcript:";

/**
 * The Hermes client sends its whole transcript as one text when its own history was rewritten:
 * added to the context it would double it.
 */
function isReplay(input: readonly WireBlock[]): boolean {
  const [first] = input;
  if (input.length !== 1 || first?.type !== "text") return false;
  return first.text.startsWith(REPLAY_OPENING) && first.text.includes(REPLAY_TRANSCRIPT);
}

const tooMuchMedia = (): ProblemError =>
  new ProblemError(
    refusalProblem({
      code: "media_limit",
      message: `The images and documents of a request may hold ${MAX_MEDIA_BYTES} bytes together. Send smaller ones.`,
    }),
  );
