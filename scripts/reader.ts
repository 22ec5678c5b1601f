/** A client that folds what it sees into a view and remembers its cursor, as any client should. */
import { EMPTY_VIEW, reduce, type View } from "../src/shared/view.ts";
import { eventOf, type Frame } from "./client.ts";

/** What has come of one message: its deltas, and the text in its row. */
export interface Message {
  deltas: string[];
  completed: string | null;
}

export class Reader {
  readonly frames: Frame[] = [];
  /** By message id. */
  readonly messages = new Map<string, Message>();
  view: View = EMPTY_VIEW;
  cursor = "0";

  /**
   * Reads until a frame of this event for which `enough` holds, and leaves the stream open. Gives
   * that frame, or null when the stream ended or its connection broke before.
   *
   * @throws Error when a cursor falls
   */
  async until(
    stream: AsyncGenerator<Frame>,
    event: string,
    enough: (frame: Frame) => boolean = () => true,
  ): Promise<Frame | null> {
    try {
      for (;;) {
        const { done, value: frame } = await stream.next();
        if (done) return null;
        this.#take(frame);
        if (frame.event === event && enough(frame)) return frame;
      }
    } catch (error) {
      // `fetch` and its streams report a broken connection so.
      if (error instanceof TypeError) return null;
      throw error;
    }
  }

  /** The same, and then the client leaves. */
  async visit(
    stream: AsyncGenerator<Frame>,
    event: string,
    enough?: (frame: Frame) => boolean,
  ): Promise<Frame | null> {
    try {
      return await this.until(stream, event, enough);
    } finally {
      await stream.return(undefined);
    }
  }

  /** The frames that stand in the log, as `id event`, whatever of a message was seen before them. */
  get rows(): string[] {
    return this.frames
      .filter(({ event }) => !event.endsWith(".delta"))
      .map(({ id, event }) => `${id.split(":")[0]} ${event}`);
  }

  /** All deltas of text so far. */
  get deltas(): string[] {
    return [...this.messages.values()].flatMap(({ deltas }) => deltas);
  }

  #take(frame: Frame): void {
    if (seqOf(frame.id) < seqOf(this.cursor)) {
      throw new Error(`The cursor fell from ${this.cursor} to ${frame.id}`);
    }
    this.frames.push(frame);
    this.cursor = frame.id;
    const event = eventOf(frame);
    if (!event) return;
    this.view = reduce(this.view, event);
    if (event.type === "assistant.delta") this.#message(event.data.id).deltas.push(event.data.text);
    if (event.type === "assistant.completed") {
      this.#message(event.data.id).completed = event.data.output_text;
    }
  }

  #message(id: string): Message {
    const known = this.messages.get(id) ?? { deltas: [], completed: null };
    this.messages.set(id, known);
    return known;
  }
}

/** The row that a cursor stands behind. */
const seqOf = (cursor: string): number => Number(cursor.split(/[:+]/)[0]);
