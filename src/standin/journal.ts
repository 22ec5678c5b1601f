import type { Json, JsonObject } from "./wire.ts";

/** What became of a request. */
export type Outcome =
  | { readonly state: "open" }
  /** A rule was broken; `status` 401, 4xx, or 500 where no reply was scripted. */
  | {
      readonly state: "refused";
      readonly status: number;
      readonly type: string;
      readonly message: string;
    }
  /** The whole answer was sent. `message` is the answer as a non-streaming client gets it. */
  | {
      readonly state: "answered";
      readonly status: number;
      readonly message: JsonObject | null;
      readonly usage: JsonObject | null;
    }
  /** A scripted error, before or inside the stream. */
  | {
      readonly state: "failed";
      readonly status: number;
      readonly type: string;
      readonly outputTokens: number;
    }
  /** The stand-in broke the body off, as scripted. */
  | { readonly state: "cut"; readonly status: number; readonly outputTokens: number }
  /** The client hung up; so many output tokens had been generated and are billed. */
  | {
      readonly state: "aborted";
      readonly outputTokens: number;
      readonly usage: JsonObject | null;
    };

export interface RecordedRequest {
  readonly index: number;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly method: string;
  readonly path: string;
  readonly query: string;
  /** Without keys. */
  readonly headers: Readonly<Record<string, string>>;
  /** The parsed body; undefined where it was no JSON. */
  readonly body: Json | undefined;
  readonly text: string;
  readonly outcome: Outcome;
}

/** A record while its request runs. */
export interface OpenRecord {
  readonly request: RecordedRequest;
  /** The first outcome stays. */
  settle(outcome: Outcome): void;
}

/** All requests in order of arrival, and the promises of those who wait for them. */
export class Journal {
  readonly #requests: RecordedRequest[] = [];
  readonly #keep: number;
  readonly #waiting = new Set<{ isDone: () => boolean; resolve: () => void }>();
  readonly #unexpected: RecordedRequest[] = [];
  #count = 0;
  #wanted = 0;

  /** @param keep how many of the latest requests are kept */
  constructor(keep: number) {
    this.#keep = keep;
  }

  get requests(): readonly RecordedRequest[] {
    return this.#requests;
  }

  get unexpected(): RecordedRequest[] {
    return [...this.#unexpected];
  }

  open(received: Omit<RecordedRequest, "index" | "outcome">): OpenRecord {
    let outcome: Outcome = { state: "open" };
    const request: RecordedRequest = {
      ...received,
      index: this.#count,
      get outcome() {
        return outcome;
      },
    };
    this.#count += 1;
    this.#requests.push(request);
    if (this.#requests.length > this.#keep) this.#requests.shift();
    this.#notify();
    return {
      request,
      settle: (next) => {
        if (outcome.state !== "open") return;
        outcome = next;
        if (next.state === "refused") this.#judge(request);
        this.#notify();
      },
    };
  }

  expectRefusals(count: number): void {
    this.#wanted += count;
  }

  /** Resolves once so many requests have arrived. */
  arrived(count: number): Promise<void> {
    return this.#until(() => this.#count >= count);
  }

  /** Resolves once the request at `index` has an outcome. */
  async settled(index: number): Promise<Outcome> {
    const find = () => this.#requests.find((request) => request.index === index);
    await this.#until(() => {
      const request = find();
      return request !== undefined && request.outcome.state !== "open";
    });
    return find()?.outcome ?? { state: "open" };
  }

  clear(): void {
    this.#requests.length = 0;
    this.#unexpected.length = 0;
    this.#count = 0;
    this.#wanted = 0;
  }

  #judge(request: RecordedRequest): void {
    if (this.#wanted > 0) this.#wanted -= 1;
    else this.#unexpected.push(request);
  }

  #until(isDone: () => boolean): Promise<void> {
    if (isDone()) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.add({ isDone, resolve }));
  }

  #notify(): void {
    for (const waiter of this.#waiting) {
      if (!waiter.isDone()) continue;
      this.#waiting.delete(waiter);
      waiter.resolve();
    }
  }
}
