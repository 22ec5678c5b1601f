/** Answers in the envelope of claude-code-api: `data`, `meta`, and what stands beside them. */
import type { HttpContext } from "../../http/context.ts";
import { answerJson } from "../../http/json.ts";
import { clock } from "../../shared/clock.ts";
import { offsetTime } from "../../shared/offset-time.ts";
import type { PageAsked } from "./fields.ts";

export interface Meta {
  request_id: string;
  timestamp: string;
  version: "v1";
}

export const metaOf = (c: HttpContext): Meta => ({
  request_id: c.get("requestId"),
  timestamp: offsetTime(clock.now()),
  version: "v1",
});

interface Answered {
  /** Members beside `data` and `meta`. */
  beside?: object;
  status?: 200 | 201 | 202;
  headers?: Record<string, string>;
}

export const answer = (
  c: HttpContext,
  data: unknown,
  { beside = {}, status = 200, headers = {} }: Answered = {},
): Response => answerJson(c, { data, ...beside, meta: metaOf(c) }, status, headers);

export interface Pagination extends PageAsked {
  total: number;
  pages: number;
}

/** `least`: how many pages a list has that is empty. */
export const pagination = (
  { page, limit }: PageAsked,
  total: number,
  least: 0 | 1 = 1,
): Pagination => ({ total, page, limit, pages: Math.max(least, Math.ceil(total / limit)) });
