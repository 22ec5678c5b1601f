/** All sessions and clients of a run: how they begin, and how they come to an end. */
import { type Chat, createChat } from "./chat.ts";
import { checkAlone, checkChat, checkDeletion, checkList, untilQuiet } from "./checks.ts";
import { answerTools, follow, meddle, postJson, postStreams, readPages } from "./clients.ts";
import { checkDeleted, churn, leave } from "./visitors.ts";
import { type AnswerBody, pause, type World } from "./world.ts";

/** Sessions that are busy at the same time. */
const BUSY = 4;
const LEAVERS = ["l1", "l2"];
const CHURNERS = ["d1", "d2"];
/** The clients may take so long to come to an end after the last start. */
const END_MS = 90_000;
/** Longer than the alarm that wakes a session for which nobody asks. */
const ALONE_MS = 25_000;
const POLL_MS = 20;

/** What was found in the end. */
export interface Checked {
  /** Messages and tool results that were accepted in the sessions that still exist. */
  inputs: number;
  deleted: number;
  /** By public id, as they are at the end. */
  sessions: Map<string, AnswerBody>;
}

export class Workload {
  readonly #world: World;
  readonly #chats: Chat[] = [];
  /** Clients that end by themselves once nothing new is to be begun. */
  readonly #clients: Promise<void>[] = [];
  /** The names of those that have not ended. */
  readonly #open = new Set<string>();

  constructor(world: World) {
    this.#world = world;
  }

  begin(): void {
    for (let i = 1; i <= BUSY; i++) void this.#run(`busy ${i}`, this.#busy(`b${i}`));
    for (const name of LEAVERS) void this.#run(name, leave(this.#world, name, this.#chats));
    for (const name of CHURNERS) void this.#run(name, churn(this.#world, name, this.#chats));
  }

  /** Lets the clients finish, waits until all is quiet, and checks. */
  async end(): Promise<Checked> {
    const world = this.#world;
    world.stopping = true;
    await this.#finished();
    await this.#alone();
    const sessions = new Map<string, AnswerBody>();
    const there = this.#chats.filter((chat) => !chat.deleted);
    for (const chat of there) sessions.set(chat.id, await untilQuiet(world, chat));
    let inputs = 0;
    for (const chat of there) {
      inputs += await checkChat(world, chat, sessions.get(chat.id) ?? {});
    }
    const deleted = this.#chats.filter((chat) => chat.deleted);
    for (const chat of deleted) {
      await checkDeleted(world, chat);
      checkDeletion(world, chat);
    }
    await checkList(world, sessions);
    return { inputs, deleted: deleted.length, sessions };
  }

  async #finished(): Promise<void> {
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(() => {
      this.#world.problem(`these clients do not come to an end: ${[...this.#open].join(", ")}`);
      late.resolve();
    }, END_MS);
    await Promise.race([this.#ended(), late.promise]);
    clearTimeout(timer);
  }

  async #ended(): Promise<void> {
    await Promise.all(this.#clients);
    // No message waits any more, so nobody begins another answer.
    await Promise.all(this.#chats.flatMap(({ answers }) => answers));
  }

  /** The sessions for which nobody asks go on by themselves; only then somebody looks. */
  async #alone(): Promise<void> {
    const { restarts } = this.#world;
    const end = performance.now() + ALONE_MS;
    while (restarts.unattended.length > 0 && performance.now() < end) await pause(POLL_MS);
    const left = this.#chats.filter(({ label }) => restarts.unattended.includes(label));
    for (const chat of left) await checkAlone(this.#world, chat);
  }

  /** One busy session after the other. */
  async #busy(name: string): Promise<void> {
    const world = this.#world;
    for (let i = 1; !world.stopping; i++) {
      const chat = await createChat(world, `${name}x${i}`);
      this.#chats.push(chat);
      const { label } = chat;
      // These stay until the server has gone for good.
      void follow(world, chat, "follower").catch((error) => world.failed(label, error));
      void answerTools(world, chat).catch((error) => world.failed(label, error));
      void this.#run(`pages of ${label}`, readPages(world, chat));
      await Promise.all([
        this.#run(`JSON of ${label}`, postJson(world, chat)),
        this.#run(`streams of ${label}`, postStreams(world, chat)),
        this.#run(`meddler of ${label}`, meddle(world, chat)),
      ]);
    }
  }

  /** Resolves when the client has ended, and never rejects. */
  #run(name: string, client: Promise<void>): Promise<void> {
    this.#open.add(name);
    const ended = client
      .catch((error) => this.#world.failed(name, error))
      .finally(() => this.#open.delete(name));
    this.#clients.push(ended);
    return ended;
  }
}
