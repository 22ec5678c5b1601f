/** A following for a surface that says of a turn's end what the session alone can sum up. */
import type { SessionStub } from "../session/calls.ts";
import { isOutcome } from "../shared/events.ts";
import type { FollowStream } from "./pump.ts";
import { repeatedly } from "./submit.ts";

/** The same, with the record of its turn on each row that ends a submission. */
export async function* recorded(session: SessionStub, followed: FollowStream): FollowStream {
  try {
    for (;;) {
      const step = await followed.next();
      if (step.done) return step.value;
      const item = step.value;
      const outcome = item.kind === "row" && item.row.type === "outcome" ? item.row.body : null;
      if (item.kind !== "row" || !outcome || !item.events.some(isOutcome)) {
        yield item;
        continue;
      }
      const record = await repeatedly(() => session.record(outcome.turn));
      yield { ...item, record };
    }
  } finally {
    await followed.return(null);
  }
}
