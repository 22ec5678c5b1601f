/**
 * The reducer: events in, view out. The server folds it over a log to know what a row says to a
 * client, a client folds it over the frames it gets; both come to the same view, whatever
 * happened to the connection between them.
 */
import type { Event, ToolCall } from "./events.ts";
import type { SessionStatus } from "./summary.ts";

/** A piece of the open turn's work: a text, a thought or a tool call, finished or in preview. */
export interface ViewBlock {
  id: string;
  kind: "text" | "thinking" | "tool";
  /** Text, thinking, or the JSON text of a tool call's arguments. */
  text: string;
  /** The tool's name; empty for the other kinds. */
  name: string;
  done: boolean;
}

/** What a client knows of a session besides the finished turns. It holds the open turn only. */
export interface View {
  status: SessionStatus | "deleted";
  /** Public id of the turn that runs or ran last. */
  turn: string | null;
  /** The work since the last outcome, in order of arrival. */
  blocks: ViewBlock[];
  /** The finished texts since the last outcome, joined. */
  output_text: string;
  /** Where in it the final answer begins: behind the last tool call. */
  answer_at: number;
  /** Tool calls that the client has to answer. */
  pending: ToolCall[];
  /** Calls of built-in tools that wait for a confirmation. */
  asked: ToolCall[];
  /** Inputs that wait for their turn. */
  queue: string[];
  /** The message that wrote last into `output_text`: its texts join directly. */
  message: string;
  /** The last message was cut (`max_tokens`, `pause_turn`): the next one goes on where it ended. */
  continues: boolean;
}

export const EMPTY_VIEW: View = {
  status: "idle",
  turn: null,
  blocks: [],
  output_text: "",
  answer_at: 0,
  pending: [],
  asked: [],
  queue: [],
  message: "",
  continues: false,
};

/** Stop reasons after which the next message goes on where this one ended. */
export const CONTINUED: ReadonlySet<string> = new Set([
  "max_tokens",
  "pause_turn",
  "model_context_window_exceeded",
]);

/** The view after `event`. */
export function reduce(view: View, event: Event): View {
  switch (event.type) {
    case "turn.started":
      return {
        ...view,
        ...CLEARED,
        status: "running",
        turn: event.turn,
        pending: [],
        asked: [],
        queue: without(view.queue, event.data.input_id),
      };
    case "turn.resumed":
      return { ...view, status: "running", turn: event.turn };
    case "input.queued":
      return { ...view, queue: [...view.queue, event.data.input_id] };
    case "input.taken":
    case "input.cancelled":
      return { ...view, queue: without(view.queue, event.data.input_id) };
    case "thinking.delta":
      return { ...view, blocks: extend(view.blocks, event.data.id, "thinking", event.data.text) };
    case "assistant.delta":
      return { ...view, blocks: extend(view.blocks, event.data.id, "text", event.data.text) };
    case "tool_call.delta": {
      const { id, name, arguments: text } = event.data;
      return { ...view, blocks: extend(view.blocks, id, "tool", text, name) };
    }
    case "thinking.completed":
      return { ...view, blocks: finish(view.blocks, event.data.id, "thinking", event.data.text) };
    case "assistant.completed":
      return withText(view, event.data.id, event.data.output_text);
    case "tool_call.requested": {
      const { id, name, arguments: text } = event.data;
      const call: ToolCall = { id, type: "function", function: { name, arguments: text } };
      return {
        ...view,
        ...behind(view),
        blocks: finish(view.blocks, id, "tool", text, name),
        pending: [...view.pending, call],
      };
    }
    case "tool.requested": {
      const { id, name, arguments: text } = event.data;
      return { ...view, ...behind(view), blocks: finish(view.blocks, id, "tool", text, name) };
    }
    case "confirmation.requested": {
      const { id, name, arguments: text } = event.data;
      const call: ToolCall = { id, type: "function", function: { name, arguments: text } };
      const blocks = finish(view.blocks, id, "tool", text, name);
      return { ...view, ...behind(view), blocks, asked: [...view.asked, call] };
    }
    case "confirmation.accepted":
      return { ...view, asked: view.asked.filter((call) => call.id !== event.data.id) };
    case "tool_result.accepted":
      return { ...view, pending: view.pending.filter((c) => c.id !== event.data.tool_call_id) };
    case "tool.completed":
      return {
        ...view,
        ...behind(view),
        pending: view.pending.filter((call) => call.id !== event.data.id),
        asked: view.asked.filter((call) => call.id !== event.data.id),
      };
    case "call.completed": {
      const { end, stop_reason, purpose } = event.data;
      if (purpose === "compact") return view;
      return {
        ...view,
        // A preview without a row is a text that does not exist: its attempt was lost or cut.
        blocks: view.blocks.filter((block) => block.done),
        // A failed attempt says nothing about how its successor joins the text before it.
        continues: end === "ok" ? CONTINUED.has(stop_reason ?? "") : view.continues,
      };
    }
    case "turn.completed": {
      const waits = event.data.outcome === "requires_action";
      return { ...view, ...CLEARED, status: waits ? waitsFor(view) : "idle" };
    }
    case "turn.interrupted":
    case "turn.failed":
      return { ...view, ...CLEARED, status: "idle", pending: [], asked: [] };
    case "session.deleted":
      return { ...EMPTY_VIEW, status: "deleted" };
    // The others change nothing here, nor do those that only a newer server knows.
    default:
      return view;
  }
}

const waitsFor = ({ asked }: View): View["status"] =>
  asked.length > 0 ? "awaiting_confirmation" : "awaiting_tool_results";

const CLEARED = {
  blocks: [],
  output_text: "",
  answer_at: 0,
  message: "",
  continues: false,
} satisfies Partial<View>;

/** The final answer begins behind a tool call. */
const behind = ({ output_text }: View): Pick<View, "answer_at"> => ({
  answer_at: output_text.length,
});

/** The text of the final answer so far. */
export const finalText = ({ output_text, answer_at }: View): string => output_text.slice(answer_at);

const without = (queue: string[], id: string): string[] => queue.filter((one) => one !== id);

function extend(
  blocks: ViewBlock[],
  id: string,
  kind: ViewBlock["kind"],
  text: string,
  name = "",
): ViewBlock[] {
  const last = blocks.at(-1);
  // The model writes one block after the other, so the block in preview is nearly always the last.
  if (last?.id === id) return [...blocks.slice(0, -1), { ...last, text: last.text + text }];
  const at = blocks.findIndex((block) => block.id === id);
  if (at < 0) return [...blocks, { id, kind, text, name, done: false }];
  return blocks.map((block) => (block.id === id ? { ...block, text: block.text + text } : block));
}

function finish(
  blocks: ViewBlock[],
  id: string,
  kind: ViewBlock["kind"],
  text: string,
  name = "",
): ViewBlock[] {
  const done: ViewBlock = { id, kind, text, name, done: true };
  const known = blocks.some((block) => block.id === id);
  return known ? blocks.map((block) => (block.id === id ? done : block)) : [...blocks, done];
}

function withText(view: View, id: string, text: string): View {
  // `msg_<call>_<index>`: blocks of one message share the part before the last underscore.
  const message = id.slice(0, id.lastIndexOf("_"));
  const direct = view.continues || view.message === message || view.output_text === "";
  const gap = direct || text === "" ? "" : "\n\n";
  return {
    ...view,
    blocks: finish(view.blocks, id, "text", text),
    output_text: view.output_text + gap + text,
    message,
    continues: false,
  };
}
