/** What the benchmarks use of HTTP: JSON, and SSE frames with the time at which they came. */

/** Milliseconds since the epoch, with fractions. */
export const now = (): number => performance.timeOrigin + performance.now();

/** What the benchmarks read of the frames of both APIs. */
export interface Payload {
  /** Ledge: the event. */
  data?: { id?: string; text?: string; output_text?: string; status?: string };
  /** Messages API: a piece of a block, and the start of one. */
  delta?: { type?: string; text?: string; partial_json?: string };
  content_block?: { type: string; id?: string; name?: string };
}

export interface Frame {
  event: string;
  id: string | null;
  data: Payload;
  /** When its last byte was read. */
  at: number;
  /** Bytes on the wire. */
  bytes: number;
}

/** Sends JSON and gives the JSON of the answer; throws for anything but a 2xx. */
export async function json<T>(url: string, body?: unknown, init: RequestInit = {}): Promise<T> {
  const response = await send(url, body, init);
  // Both servers are the project's own.
  return (await response.json()) as T;
}

/** Sends JSON and gives the frames of the answer as they come. */
export async function* sse(
  url: string,
  body?: unknown,
  init: RequestInit = {},
): AsyncGenerator<Frame> {
  const response = await send(url, body, init);
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of response.body ?? []) {
    const at = now();
    rest += decoder.decode(chunk, { stream: true });
    for (let end = rest.indexOf("\n\n"); end >= 0; end = rest.indexOf("\n\n")) {
      yield parse(rest.slice(0, end), at);
      rest = rest.slice(end + 2);
    }
  }
}

/** All frames, once the stream has ended. */
export async function frames(...call: Parameters<typeof sse>): Promise<Frame[]> {
  const all: Frame[] = [];
  for await (const frame of sse(...call)) all.push(frame);
  return all;
}

async function send(url: string, body: unknown, init: RequestInit): Promise<Response> {
  const response = await fetch(url, {
    ...(body === undefined ? {} : { method: "POST", body: JSON.stringify(body) }),
    ...init,
    headers: { "content-type": "application/json", ...init.headers },
  });
  if (!response.ok) throw new Error(`${response.status} ${url}: ${await response.text()}`);
  return response;
}

function parse(text: string, at: number): Frame {
  const fields = new Map<string, string>();
  for (const line of text.split("\n")) {
    const colon = line.indexOf(":");
    fields.set(line.slice(0, colon), line.slice(colon + 1).trimStart());
  }
  const data = fields.get("data");
  return {
    event: fields.get("event") ?? "",
    id: fields.get("id") ?? null,
    data: data === undefined ? {} : JSON.parse(data),
    at,
    bytes: Buffer.byteLength(text) + 2,
  };
}
