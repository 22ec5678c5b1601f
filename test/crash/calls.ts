import { Session } from "../../src/session/session.ts";

type Reached = (object: DurableObjectState, point: "upload" | "sent") => void;

/** The class keeps it from other classes, not from what it runs in. */
const objectOf = (session: Session) => (session as unknown as { ctx: DurableObjectState }).ctx;

/**
 * Calls `reached` while bytes of an upload come to an object, and when the answer of a call that writes
 * is about to leave. The platform lets it go once what was written is on disk, so there it may be
 * lost although all was done.
 */
export function watchCalls(reached: Reached): () => void {
  const { create, submit, files, fetch } = Session.prototype;
  const sent = async <T>(session: Session, answer: Promise<T>): Promise<T> => {
    const told = await answer;
    const object = objectOf(session);
    await object.storage.sync();
    reached(object, "sent");
    return told;
  };
  Session.prototype.create = function (this: Session, ...asked) {
    return sent(this, create.apply(this, asked));
  };
  Session.prototype.submit = function (this: Session, ...asked) {
    return sent(this, submit.apply(this, asked));
  };
  Session.prototype.files = function (this: Session, ...asked) {
    return sent(this, files.apply(this, asked));
  } as typeof files;
  Session.prototype.fetch = function (this: Session, request) {
    const upload = new URL(request.url).pathname === "/files" ? request.body : null;
    if (!upload) return fetch.call(this, request);
    const body = watched(upload, () => reached(objectOf(this), "upload"));
    return sent(this, fetch.call(this, new Request(request, { body })));
  };
  return () => void Object.assign(Session.prototype, { create, submit, files, fetch });
}

/** The same bytes; `came` is called with the first of them, and at their end. */
function watched(bytes: ReadableStream<Uint8Array>, came: () => void): ReadableStream<Uint8Array> {
  const reader = bytes.getReader();
  let began = false;
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await reader.read();
        if (!began || done) came();
        began = true;
        if (done) controller.close();
        else controller.enqueue(value);
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  );
}
