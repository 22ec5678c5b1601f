import type { Json, Message, Problem, Role } from "../wire.ts";
import { invalid, isObject } from "../wire.ts";
import type { BlockContext } from "./blocks.ts";
import { checkBlock } from "./blocks.ts";
import { firstProblem } from "./shape.ts";

const ROLES: readonly string[] = ["user", "assistant", "system"];
const MAX_MESSAGES = 100_000;

/** Every message by itself: its fields, its role, its blocks. */
export function checkMessageShapes(
  messages: readonly Json[],
  context: BlockContext,
): Problem | undefined {
  if (messages.length === 0) return invalid("messages: at least one message is required");
  if (messages.length > MAX_MESSAGES) {
    return invalid(
      `messages: List should have at most ${MAX_MESSAGES} items, not ${messages.length}`,
    );
  }
  return firstProblem(messages, (message, i) => checkMessage(message, `messages.${i}`, context));
}

function checkMessage(message: Json, path: string, context: BlockContext): Problem | undefined {
  if (!isObject(message)) return invalid(`${path}: Input should be a valid dictionary`);
  const { role, content } = message;
  if (role === undefined) return invalid(`${path}.role: Field required`);
  if (!isRole(role)) {
    return invalid(`${path}.role: Input should be 'user', 'assistant' or 'system'`);
  }
  const hasClearAt = context.betas.has("mid-conversation-system-clear-at-2026-08-21");
  const hasConfig = context.betas.has("mid-conversation-output-config-2026-07-01");
  for (const key of Object.keys(message)) {
    const isKnown =
      key === "role" ||
      key === "content" ||
      (role === "system" && key === "clear_at" && hasClearAt) ||
      (role === "system" && key === "output_config" && hasConfig);
    if (!isKnown) return invalid(`${path}.${key}: Extra inputs are not permitted`);
  }
  if (content === undefined) return invalid(`${path}.content: Field required`);
  if (content === "" || (Array.isArray(content) && content.length === 0)) {
    return invalid(
      `${path}: all messages must have non-empty content except for the optional final assistant message`,
    );
  }
  if (typeof content === "string") {
    return content.trim() === ""
      ? invalid(`${path}: text content blocks must contain non-whitespace text`)
      : undefined;
  }
  if (!Array.isArray(content)) {
    return invalid(`${path}.content: Input should be a valid string or a valid list`);
  }
  return firstProblem(content, (block, j) =>
    checkBlock(block, role, `${path}.content.${j}`, context),
  );
}

function isRole(value: Json): value is Role {
  return typeof value === "string" && ROLES.includes(value);
}

/** The messages of a body that has passed `checkMessageShapes`; strings become text blocks. */
export function readMessages(messages: readonly Json[]): Message[] {
  return messages.filter(isObject).map(({ role, content }) => ({
    role: role !== undefined && isRole(role) ? role : "user",
    content:
      typeof content === "string"
        ? [{ type: "text", text: content }]
        : Array.isArray(content)
          ? content.filter(isObject)
          : [],
  }));
}

/** The order of roles: who may begin, follow and end. */
export function checkRoles(
  messages: readonly Message[],
  rules: { readonly hasSystemMessages: boolean; readonly requireAlternation: boolean },
): Problem | undefined {
  const first = messages[0];
  const opensWithSummary = first?.role === "assistant" && first.content[0]?.type === "compaction";
  if (first?.role === "system" || (first?.role === "assistant" && !opensWithSummary)) {
    return invalid(`messages.0.role: first message must use the "user" role`);
  }
  let previous: Role | undefined;
  for (const [i, message] of messages.entries()) {
    if (message.role === "system") {
      const problem = checkSystemPlace(messages, i, rules.hasSystemMessages);
      if (problem) return problem;
      continue;
    }
    // A summary stands for the messages before it, whose last one may also be an assistant's.
    const isSummary = i === 1 && opensWithSummary && first?.content.length === 1;
    if (rules.requireAlternation && message.role === previous && !isSummary) {
      return invalid(
        `messages.${i}: roles must alternate between "user" and "assistant", but found multiple "${message.role}" roles in a row`,
      );
    }
    previous = message.role;
  }
  return undefined;
}

function checkSystemPlace(
  messages: readonly Message[],
  i: number,
  hasSystemMessages: boolean,
): Problem | undefined {
  if (!hasSystemMessages) {
    return invalid(`messages.${i}.role: this model does not support "system" messages`);
  }
  const before = messages[i - 1]?.role;
  const after = messages[i + 1]?.role;
  if (before === "assistant") {
    return invalid(
      `messages.${i}: a "system" message must follow a "user" message, not an "assistant" message`,
    );
  }
  return after === "user"
    ? invalid(`messages.${i}: a "system" message must not precede a "user" message`)
    : undefined;
}

/** A run of neighbouring messages of one role, which the API reads as one message. */
export interface Turn {
  readonly role: Role;
  /** Blocks with the place each was sent at: `[message, block]`. */
  readonly blocks: readonly { readonly block: Message["content"][number]; readonly path: string }[];
  /** Index of the first message. */
  readonly index: number;
}

export function mergeTurns(messages: readonly Message[]): Turn[] {
  const turns: { role: Role; blocks: Turn["blocks"][number][]; index: number }[] = [];
  for (const [i, message] of messages.entries()) {
    const blocks = message.content.map((block, j) => ({
      block,
      path: `messages.${i}.content.${j}`,
    }));
    const last = turns.at(-1);
    if (last?.role === message.role) last.blocks.push(...blocks);
    else turns.push({ role: message.role, blocks, index: i });
  }
  return turns;
}
