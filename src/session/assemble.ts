/** Puts together what belongs to an existing session. */
import { accountOf } from "../account/client.ts";
import type { Env } from "../env.ts";
import { guardedRequest } from "../net/guard.ts";
import type { GuardedRequester } from "../net/request.ts";
import { readConfig, type Variables } from "../shared/config.ts";
import { sessionId } from "../shared/rows.ts";
import type { Draft } from "./draft.ts";
import { type FaultPoint, faultPoint, faultPointsOfCommit } from "./fault-points.ts";
import { SessionFiles } from "./files.ts";
import type { Followers } from "./followers.ts";
import { noteInstructions } from "./instructions.ts";
import { Loop } from "./loop.ts";
import type { MediaStore } from "./media.ts";
import { Outbox } from "./outbox.ts";
import { ToolRunner } from "./run-tools.ts";
import type { Store } from "./store.ts";
import { upstreamOf } from "./upstream.ts";

export interface Parts {
  store: Store;
  loop: Loop;
  outbox: Outbox;
  tools: ToolRunner;
  files: SessionFiles;
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
  const edges = { store, media, followers, commit, reach, place };
  const tools = new ToolRunner({ ...edges, storage: ctx.storage, request: requester(env) });
  const files = new SessionFiles({
    storage: ctx.storage,
    workspace: () => tools.workspace,
    request: requester(env),
    reach,
    written(by) {
      const draft = store.draft();
      noteInstructions(draft, tools.workspace, by);
      if (draft.rows.length > 0) commit(draft);
      else faultPointsOfCommit(ctx);
    },
    deleted: () => store.state.deleted,
  });
  const outbox = new Outbox({ account: () => accountOf(env(), account), session, store, reach });
  const loop = new Loop({
    ...edges,
    tools,
    upstream: () => upstreamOf(env()),
    hold: (step) => ctx.waitUntil(step),
  });
  return { store, loop, outbox, tools, files };
}

/** Requests of tools, with the hosts that the configuration lets through. */
const requester =
  (env: () => Variables): GuardedRequester =>
  (address, request) => {
    const result = readConfig(env());
    const allow = result.ok ? result.config.fetchAllowHosts : [];
    return guardedRequest(address, { ...request, allow });
  };
