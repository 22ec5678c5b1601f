/** Calls of tools that wait for somebody: listed for any client, and answered by any. */
import * as v from "valibot";
import { readJson } from "../../http/body.ts";
import { hashJson } from "../../http/canonical.ts";
import type { HttpContext } from "../../http/context.ts";
import { moderate } from "../../http/moderation.ts";
import { repeatedly } from "../../http/submit.ts";
import { jsonObject, parse } from "../../http/validate.ts";
import type { Confirmation } from "../../session/commands.ts";
import type { OpenCall } from "../../session/describe.ts";
import { turnId } from "../../shared/ids.ts";
import { found } from "../common/address.ts";
import { keyId } from "../common/key.ts";
import { limitsOf } from "../common/limits.ts";
import { addressed } from "./address.ts";
import { ToolCallId } from "./decode.ts";
import { answerSubmission } from "./turns.ts";

const MAX_CONFIRMATIONS = 1000;

export const ConfirmationsRequest = v.object({
  confirmations: v.pipe(
    v.array(
      v.object({
        tool_call_id: ToolCallId,
        decision: v.picklist(["allow", "allow_always", "deny"]),
        /** With `deny`: what the model is told. */
        message: v.nullish(v.pipe(v.string(), v.maxLength(10_000))),
        /** With `allow`: runs instead of what the model has asked for. */
        input: v.nullish(jsonObject),
      }),
    ),
    v.minLength(1),
    v.maxLength(MAX_CONFIRMATIONS),
  ),
  stream: v.nullish(v.boolean()),
});

type Asked = v.InferOutput<typeof ConfirmationsRequest>["confirmations"][number];

/** `GET /api/sessions/{id}/pending` */
export async function getPending(c: HttpContext): Promise<Response> {
  const { session } = addressed(c);
  const open = found(await repeatedly(() => session.pending()));
  return c.json({ data: open.map(openCall) });
}

function openCall({ id, kind, name, arguments: text, reason, rule, turn, since }: OpenCall) {
  return {
    id,
    type: kind,
    name,
    arguments: text,
    ...(kind === "confirmation" ? { reason, rule } : {}),
    turn_id: turnId(turn),
    requested_at: new Date(since).toISOString(),
  };
}

/** `POST /api/sessions/{id}/confirmations` */
export async function postConfirmations(c: HttpContext): Promise<Response> {
  const key = keyId(c, "confirmations");
  const config = c.get("config");
  const body = await readJson(c.req.raw, config.maxBodyBytes);
  const asked = parse(ConfirmationsRequest, body);
  moderate(
    config,
    "native",
    asked.confirmations.map(({ message }) => message ?? ""),
  );
  const command = {
    kind: "confirmations" as const,
    confirmations: asked.confirmations.map(confirmation),
    limits: limitsOf(config, null),
    hash: await hashJson(body),
  };
  const calls = asked.confirmations.map((one) => one.tool_call_id);
  return answerSubmission(c, { command, media: [], stream: asked.stream ?? null }, key, calls);
}

function confirmation({ tool_call_id, decision, message, input }: Asked): Confirmation {
  return {
    tool: tool_call_id,
    allow: decision !== "deny",
    ...(decision === "deny" && message ? { message } : {}),
    ...(decision !== "deny" && input ? { input } : {}),
    ...(decision === "allow_always" ? { always: true } : {}),
  };
}
