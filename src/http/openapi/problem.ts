/** What `problemResponse` answers, as the document describes it. */
import * as v from "valibot";

const said = <S extends v.GenericSchema>(schema: S, words: string) =>
  v.pipe(schema, v.description(words));

export const Problem = v.pipe(
  v.looseObject({
    type: v.string(),
    title: v.string(),
    status: v.pipe(v.number(), v.integer()),
    detail: said(v.string(), "For people: what is wrong, and what to do."),
    instance: v.string(),
    request_id: v.string(),
    error: v.object({
      code: said(v.string(), "For programs."),
      message: v.string(),
    }),
    errors: v.exactOptional(
      said(
        v.array(v.object({ field: v.string(), message: v.string(), type: v.string() })),
        "With 422: each wrong field, such as `body -> input -> 1`.",
      ),
    ),
    turn: v.exactOptional(said(v.string(), "The turn that it is about.")),
    code: v.exactOptional(said(v.string(), "With a failed turn: its code.")),
    url: v.exactOptional(said(v.string(), "With 504: where the turn's result will be.")),
  }),
  v.description("An error (RFC 9457)."),
);
