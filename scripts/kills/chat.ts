/** A session of the workload and what is known of it from outside. */
import type { Reader } from "../reader.ts";
import { SHAPES, type Task, TOOLS, taskText } from "./model.ts";
import type { AnswerBody, ListElement, World } from "./world.ts";

/** A message that a client has sent, and what it was told. */
export interface Post {
  task: Task;
  /** `accepted`: answered 2xx, or with the turn that failed. `refused`: nothing may be written. */
  fate: "open" | "accepted" | "refused";
  /** The turn that was named, with its result if there is one. */
  result: AnswerBody | null;
  /** It may have joined the turn of another message. */
  steer: boolean;
  /** What its own stream showed. */
  stream: Reader | null;
}

export class Chat {
  readonly label: string;
  /** The session's public id. */
  readonly id: string;
  readonly posts: Post[] = [];
  /** Clients that follow the session from its first event. */
  readonly followers: Reader[] = [];
  /** Clients that read it in pages. */
  readonly pages: ListElement[][] = [];
  /** Answers to its tool calls, on their way or there. */
  readonly answers: Promise<void>[] = [];
  /** Somebody has begun to delete it. */
  deleting = false;
  deleted = false;

  constructor(label: string, id: string) {
    this.label = label;
    this.id = id;
  }

  get path(): string {
    return `/api/sessions/${this.id}`;
  }

  /** A new task, with a number of its own. */
  post(world: World, role: string, steer = false): Post {
    const n = this.posts.length + 1;
    const shape = world.random(`${this.label} ${role} ${n}`).pick(SHAPES);
    const task = { chat: this.label, n, shape };
    const post: Post = { task, fate: "open", result: null, steer, stream: null };
    this.posts.push(post);
    return post;
  }
}

/** The idempotency key of a message. */
export const keyOf = ({ task }: Post): string => `message-${task.chat}-${task.n}`;

export const bodyOf = ({ task }: Post): { input: string } => ({ input: taskText(task) });

/** Creates a session; repeated under its key until it is there. */
export async function createChat(world: World, label: string): Promise<Chat> {
  const answer = await world.ask(label, "/api/sessions", createCall(label));
  if (answer.status !== 201) world.problem(`creating ${label} was answered ${answer.status}`);
  return new Chat(label, answer.body.id ?? "");
}

/** The request that creates a session, the same every time. */
export const createCall = (label: string) => ({
  method: "POST" as const,
  key: `create-${label}`,
  body: { title: label, metadata: { chat: label }, tools: TOOLS },
});
