/** The world outside, as far as a session's tools ask for it. */
import { afterAll, beforeAll } from "vitest";
import { farAway } from "./model.ts";

type Answer = (url: URL, init: RequestInit) => Promise<Response> | Response;

let web: Web | null = null;
let arrived = (): void => {};

/** Requests of this file's tools go to the newest `Web`, and nowhere else. */
export function withWeb(): void {
  const real = globalThis.fetch;
  beforeAll(() => {
    globalThis.fetch = async (input, init) => {
      if (!web) throw new TypeError("there is no web");
      return web.answer(new URL(String(input)), init ?? {});
    };
  });
  afterAll(() => {
    globalThis.fetch = real;
  });
}

/** Has `next` called when a request has arrived, before it is answered. */
export function onArrival(next: () => void): void {
  arrived = next;
}

/** Hosts with what they answer, which count how often they are asked. */
export class Web {
  readonly asked: string[] = [];
  readonly #hosts: Record<string, Answer>;

  constructor(hosts: Record<string, Answer>) {
    this.#hosts = hosts;
    web = this;
  }

  /** How often an address was asked for. */
  count(address: string): number {
    return this.asked.filter((one) => one === address).length;
  }

  async answer(url: URL, init: RequestInit): Promise<Response> {
    // A request leaves once what was written before it is on disk.
    await farAway();
    this.asked.push(url.href);
    arrived();
    const answer = await this.#hosts[url.hostname]?.(url, init);
    await farAway();
    return answer ?? new Response("nothing is here", { status: 404 });
  }
}
