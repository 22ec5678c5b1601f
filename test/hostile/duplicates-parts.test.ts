/**
 * What reaches a session in several calls: the parts of a long submission and the pieces of media.
 * They come twice, in any order, with one missing, mixed with others, and over a crash.
 */
import fc from "fast-check";
import { ulid } from "ulid";
import { afterEach, describe, expect, test } from "vitest";
import { sha256Hex } from "../../src/http/canonical.ts";
import { submit } from "../../src/http/submit.ts";
import type { SessionStub } from "../../src/session/calls.ts";
import type { Submission } from "../../src/session/commands.ts";
import { MEDIA_PIECE_BYTES } from "../../src/session/media.ts";
import type { ContentBlock } from "../../src/shared/content.ts";
import { createGate } from "../../src/standin/gate.ts";
import { holdAt, httpError, reply, text } from "../../src/standin/replies.ts";
import { pngBytes } from "../api/cc/server.ts";
import { FAR_FUTURE, FakeClock } from "../support/fake-clock.ts";
import {
  accepted,
  refusalOf,
  type Sent,
  type TestSession,
  toolset,
  useSessions,
} from "../support/sessions.ts";

const sessions = useSessions();
let clock: FakeClock | null = null;
afterEach(() => clock?.restore());

function submissionOf(content: string | ContentBlock[], more: Pick<Sent, "on_busy"> = {}) {
  const blocks = typeof content === "string" ? [{ type: "text" as const, text: content }] : content;
  const submission: Submission = {
    v: 1,
    submission: ulid(),
    command: {
      kind: "input",
      content: blocks,
      on_busy: more.on_busy ?? "queue",
      options: { toolset: toolset(), tool_choice: null, parallel_tool_calls: null },
      limits: { plain: 8, tools: 8 },
      replay: false,
      hash: ulid(),
    },
  };
  return submission;
}

/** The JSON text of a submission in `count` parts. */
function parted(submission: Submission, count: number): string[] {
  const whole = JSON.stringify(submission);
  const size = Math.ceil(whole.length / count);
  return Array.from({ length: count }, (_, n) => whole.slice(n * size, (n + 1) * size));
}

const inputs = async (session: TestSession): Promise<string[]> =>
  (await session.rows()).flatMap((row) => {
    const [block] = row.type === "input" ? row.body.content : [];
    return block?.type === "text" ? [block.text] : [];
  });

/** Every answer is the same refusal, so no test waits for a model. */
const answerAll = (): void => sessions.answer(() => httpError(401));

describe("parts of a submission", () => {
  test("in any order, any of them twice, mixed with those of another", async () => {
    answerAll();
    const session = await sessions.create();
    let expected: string[] = [];
    await fc.assert(
      fc.asyncProperty(
        fc.shuffledSubarray(
          ["a", "b"].flatMap((of) => [0, 1, 2, 0, 1, 2].map((n) => ({ of, n }))),
          { minLength: 12, maxLength: 12 },
        ),
        async (order) => {
          const both = { a: submissionOf("first ä🙂"), b: submissionOf("second 語") };
          const parts = { a: parted(both.a, 3), b: parted(both.b, 3) };
          for (const { of, n } of order) {
            const one = of === "a" ? "a" : "b";
            await session.stub.stage(both[one].submission, n, parts[one][n] ?? "");
          }
          for (const one of ["a", "b"] as const) {
            const answer = await session.stub.submitStaged(both[one].submission, 3);
            await session.outcome(accepted(answer));
          }
          expected = [...expected, "first ä🙂", "second 語"];
          expect(await inputs(session)).toEqual(expected);
        },
      ),
      { seed: 3, numRuns: 20 },
    );
  });

  test.each([0, 1, 2])(
    "with part %i missing nothing is taken; all of it again is",
    async (gone) => {
      answerAll();
      const session = await sessions.create();
      const submission = submissionOf("hi");
      const id = submission.submission;
      const parts = parted(submission, 3);
      for (const [n, part] of parts.entries())
        if (n !== gone) await session.stub.stage(id, n, part);
      expect(refusalOf(await session.stub.submitStaged(id, 3))).toBe("parts_missing");
      // The part was only late. It makes nothing whole, and is in nobody's way.
      await session.stub.stage(id, gone, parts[gone] ?? "");
      expect(refusalOf(await session.stub.submitStaged(id, 3))).toBe("parts_missing");
      expect(await inputs(session)).toEqual([]);
      await session.stub.stage(id, gone, parts[gone] ?? "");
      for (const [n, part] of parts.entries()) await session.stub.stage(id, n, part);
      await session.outcome(accepted(await session.stub.submitStaged(id, 3)));
      expect(await inputs(session)).toEqual(["hi"]);
    },
  );

  test("submitted twice they are taken once, and staged again they are answered the same", async () => {
    answerAll();
    const session = await sessions.create();
    const submission = submissionOf("hi");
    const id = submission.submission;
    const stage = async () => {
      for (const [n, part] of parted(submission, 2).entries())
        await session.stub.stage(id, n, part);
    };
    await stage();
    const both = await Promise.all([1, 2].map(() => session.stub.submitStaged(id, 2)));
    expect(both.map(refusalOf).toSorted()).toEqual([null, "parts_missing"].toSorted());
    const first = accepted(both.find(({ ok }) => ok) ?? Object(both[0]));
    await session.outcome(first);
    await stage();
    const again = accepted(await session.stub.submitStaged(id, 2));
    expect(again).toEqual({ ...first, replayed: true });
    expect(accepted(await session.stub.submit(submission))).toEqual(again);
    expect(await inputs(session)).toEqual(["hi"]);
  });

  test("those of a Worker that went away are forgotten, and it may come back", async () => {
    clock = new FakeClock(FAR_FUTURE);
    answerAll();
    const session = await sessions.create();
    const [lost, other] = [submissionOf("lost"), submissionOf("other")];
    const [one = "", two = ""] = parted(lost, 2);
    await session.stub.stage(lost.submission, 0, one);
    await session.stub.stage(lost.submission, 1, two);
    await session.reader.detach();
    clock.advance(60_001);
    session.reader.attach();
    for (const [n, part] of parted(other, 2).entries()) {
      await session.stub.stage(other.submission, n, part);
    }
    expect(refusalOf(await session.stub.submitStaged(lost.submission, 2))).toBe("parts_missing");
    await session.outcome(accepted(await session.stub.submitStaged(other.submission, 2)));
    await session.outcome(accepted(await session.stub.submit(lost)));
    expect(await inputs(session)).toEqual(["other", "lost"]);
  });
});

/** The session's stub, whose answer to the `nth` call of a method is lost with the object. */
function losing(session: TestSession, method: keyof SessionStub, nth: number): SessionStub {
  let calls = 0;
  return new Proxy(session.stub, {
    get(target, name) {
      const call = Reflect.get(target, name);
      if (name !== method) return call;
      return async (...args: unknown[]) => {
        calls += 1;
        const answer = await Reflect.apply(call, target, args);
        if (calls !== nth) return answer;
        await session.crash();
        throw new Error("the object died");
      };
    },
  });
}

/** Longer than what one call takes. */
const LONG = "long text ".repeat(410_000);

test.each([
  ["stage", 1],
  ["stage", 2],
  ["submitStaged", 1],
] as const)(
  "a long submission whose object dies over call %s %i is taken once",
  async (method, nth) => {
    // It is longer than the model's window as well.
    sessions.standin.expectRefusal();
    const session = await sessions.create();
    const answer = await submit(losing(session, method, nth), submissionOf(LONG), []);
    await session.outcome(accepted(answer));
    expect(await inputs(session)).toEqual([LONG]);
  },
);

/** An image of three pieces. */
async function picture() {
  const bytes = pngBytes(2 * MEDIA_PIECE_BYTES + 7);
  const sha256 = await sha256Hex(bytes);
  const source = { type: "media" as const, media_type: "image/png", bytes: bytes.length, sha256 };
  const content: ContentBlock[] = [{ type: "image", source }];
  const piece = (n: number) =>
    bytes.slice(n * MEDIA_PIECE_BYTES, (n + 1) * MEDIA_PIECE_BYTES).buffer;
  return { bytes, sha256, content, piece, media: { media_type: "image/png", sha256, bytes } };
}

async function served(session: TestSession, sha256: string): Promise<string | null> {
  const response = await session.stub.fetch(new URL(`https://session/media/${sha256}`));
  return response.ok ? sha256Hex(new Uint8Array(await response.arrayBuffer())) : null;
}

const stored = (session: TestSession): Promise<number> =>
  session.inside(
    ({ storage }) => storage.sql.exec<{ n: number }>("SELECT count(*) AS n FROM media").one().n,
  );

describe("pieces of media", () => {
  test("in any order and twice they are stored once, and given back as they were", async () => {
    answerAll();
    const session = await sessions.create();
    const { sha256, content, piece } = await picture();
    for (const n of [2, 0, 2]) await session.stub.putMedia(sha256, n, piece(n));
    expect(refusalOf(await session.trySend(content))).toBe("media_missing");
    await Promise.all([1, 1, 0].map((n) => session.stub.putMedia(sha256, n, piece(n))));
    await session.turn(content);
    expect(await stored(session)).toBe(3);
    expect(await served(session, sha256)).toBe(sha256);
  });

  test("two submissions bring the same at once", async () => {
    answerAll();
    const session = await sessions.create();
    const { content, media, sha256 } = await picture();
    const both = [submissionOf(content), submissionOf(content)];
    const answers = await Promise.all(both.map((one) => submit(session.stub, one, [media])));
    for (const answer of answers) await session.outcome(accepted(answer));
    expect(await stored(session)).toBe(3);
    expect(await served(session, sha256)).toBe(sha256);
  });

  test.each([1, 2, 3])("the object dies over piece %i, and all of it comes again", async (nth) => {
    answerAll();
    const session = await sessions.create();
    const { content, media, sha256 } = await picture();
    const stub = losing(session, "putMedia", nth);
    await session.outcome(accepted(await submit(stub, submissionOf(content), [media])));
    expect(await stored(session)).toBe(3);
    expect(await served(session, sha256)).toBe(sha256);
  });

  test("brought for a message that is refused they stay, write no row, and serve the next", async () => {
    const session = await sessions.create();
    const { content, media, sha256 } = await picture();
    const gate = createGate();
    let first = true;
    sessions.answer(() => {
      if (!first) return httpError(401);
      first = false;
      return reply({ blocks: [text("one")], acts: [holdAt("request", gate)] });
    });
    // Another message comes first, between the bytes and the message that they belong to.
    const overtaken: SessionStub = {
      ...session.stub,
      async putMedia(sha, n, data) {
        await session.stub.putMedia(sha, n, data);
        if (n === 2) await session.send("first");
      },
    };
    const refused = submissionOf(content, { on_busy: "reject" });
    expect(refusalOf(await submit(overtaken, refused, [media]))).toBe("busy");
    expect(await inputs(session)).toEqual(["first"]);
    expect(await stored(session)).toBe(3);
    await sessions.arrived(1);
    await session.open(gate);
    await session.reader.row("outcome");
    const noUpload = { ...session.stub, putMedia: () => Promise.reject(new Error("asked again")) };
    await session.outcome(accepted(await submit(noUpload, submissionOf(content), [media])));
    expect(await served(session, sha256)).toBe(sha256);
  });
});
