/** Time to the first text through Ledge, against the same prompt sent to the model directly. */
import { PASS_THROUGH_WORKER, startLedge } from "./support/ledge.ts";
import { startModelProcess } from "./support/model.ts";
import { type Figure, paired, type Result } from "./support/results.ts";
import { createSession, DirectClient, type Timing, turn } from "./support/turns.ts";
import { beforeModel } from "./support/way-to-model.ts";

const TURNS = 5;
const ALONE_ROUNDS = 30;
const CROWD = 50;
const SCRIPT = { words: 50, pace: 2 };

/** One prompt, sent three ways. */
interface Sent {
  n: number;
  ledge: Timing;
  direct: Timing;
  /** Through a Worker that does nothing: what the local runtime costs. */
  passed: Timing;
}

interface Ways {
  ledge: string;
  model: string;
  passThrough: string;
}

export default async function ttft(): Promise<Result> {
  const model = await startModelProcess();
  const ledge = await startLedge({ model: model.url });
  const passThrough = await startLedge({ model: model.url, worker: PASS_THROUGH_WORKER });
  const ways = { ledge: ledge.url, model: model.url, passThrough: passThrough.url };
  try {
    // Warms all ways up.
    await rounds(ways, 2);
    const alone: Sent[] = [];
    for (let n = 0; n < ALONE_ROUNDS; n++) alone.push(...(await rounds(ways, 1)));
    const crowd = await rounds(ways, CROWD);
    const way = await beforeModel();
    return {
      name: "ttft",
      figures: [
        ...figures("1 session", alone),
        ...figures(`${CROWD} sessions at a time`, crowd),
        ...way.figures,
      ],
      notes: way.notes,
    };
  } finally {
    await Promise.all([ledge, passThrough, model].map((one) => one.close()));
  }
}

/** Turns of `count` sessions at a time; each round of Ledge is followed by the same one without. */
async function rounds({ ledge, model, passThrough }: Ways, count: number): Promise<Sent[]> {
  const clients = await Promise.all(
    Array.from({ length: count }, async (_, tag) => ({
      script: { ...SCRIPT, tag },
      session: await createSession(ledge),
      direct: new DirectClient(model),
      passed: new DirectClient(passThrough),
    })),
  );
  const sent: Sent[] = [];
  for (let n = 1; n <= TURNS; n++) {
    const all = {
      ledge: await Promise.all(clients.map((c) => turn(ledge, c.session, c.script))),
      direct: await Promise.all(clients.map((c) => c.direct.turn(c.script))),
      passed: await Promise.all(clients.map((c) => c.passed.turn(c.script))),
    };
    all.ledge.forEach((timing, i) => {
      const [direct, passed] = [all.direct[i], all.passed[i]];
      if (direct && passed) sent.push({ n, ledge: timing, direct, passed });
    });
  }
  return sent;
}

function figures(who: string, sent: readonly Sent[]): Figure[] {
  const figure = (
    what: string,
    some: readonly Sent[],
    of: (timing: Timing) => number,
    way: "ledge" | "passed" = "ledge",
  ) =>
    paired(
      `${who}, ${what}`,
      some.map((one) => of(one[way])),
      "direct",
      some.map((one) => of(one.direct)),
    );
  const first = sent.filter(({ n }) => n === 1);
  const later = sent.filter(({ n }) => n > 1);
  return [
    figure("first text, first turn", first, (one) => one.first),
    figure("first text, later turns", later, (one) => one.first),
    figure("of it until the request reaches the model", later, (one) => one.model),
    figure("of it from there to the client", later, (one) => one.first - one.model),
    figure("first text through a Worker that does nothing", later, (one) => one.first, "passed"),
  ];
}
