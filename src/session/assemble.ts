/** Puts together what belongs to an existing session. */
import { accountOf } from "../account/client.ts";
import type { Env } from "../env.ts";
import { sessionId } from "../shared/rows.ts";
import type { Draft } from "./draft.ts";
import { type FaultPoint, faultPoint } from "./fault-points.ts";
import type { Followers } from "./followers.ts";
import { Loop } from "./loop.ts";
import type { MediaStore } from "./media.ts";
import { Outbox } from "./outbox.ts";
import type { Store } from "./store.ts";
import { upstreamOf } from "./upstream.ts";

export interface Parts {
  store: Store;
  loop: Loop;
  outbox: Outbox;
}

export interface Surrounding {
  ctx: DurableObjectState;
  env: () => Env;
  media: MediaStore;
  followers: Followers;
  /** Writes a draft, tells the followers, keeps the alarm. */
  commit: (draft: Draft) => void;
}

/** The object's name is `<account>/<ulid>`. */
export function namesOf(ctx: DurableObjectState): { account: string; session: string } {
  const [account = "", session = ""] = (ctx.id.name ?? "").split("/");
  return { account, session };
}

export function assemble(store: Store, around: Surrounding): Parts {
  const { ctx, env, media, followers, commit } = around;
  const { account, session } = namesOf(ctx);
  const reach = (point: FaultPoint) => faultPoint(ctx, point);
  const place = { account, session: sessionId(session) };
  const outbox = new Outbox({ account: () => accountOf(env(), account), session, store, reach });
  const loop = new Loop({
    store,
    media,
    followers,
    commit,
    reach,
    place,
    upstream: () => upstreamOf(env()),
    hold: (step) => ctx.waitUntil(step),
  });
  return { store, loop, outbox };
}
