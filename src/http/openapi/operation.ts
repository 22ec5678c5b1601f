/**
 * What the description of the API says of routes: data that stands beside a surface's handlers. It is
 * made when somebody asks for the description, and so are the schemas of answers, which are loaded
 * then: the Worker's start has nothing of it to do. What handlers need themselves is imported as ever,
 * because a module that is loaded later makes all that it imports slower to start.
 */
import type * as v from "valibot";
import type { JsonObject } from "../../shared/content.ts";
import type { Route } from "../routes.ts";

/** A header of requests that some routes read; `HEADERS` of the document says what each is for. */
export type RequestHeader =
  | "Idempotency-Key"
  | "Last-Event-ID"
  | "Prefer"
  | "If-Match"
  | "If-None-Match"
  | "If-Range"
  | "Range";

export interface Operation {
  /** Unique among all surfaces; generated clients name their functions after it. */
  id: string;
  tag: string;
  summary: string;
  /** Markdown. */
  description?: string;
  query?: QuerySchema;
  headers?: readonly RequestHeader[];
  body?: RequestBody;
  /** By status. */
  answers: Readonly<Record<number, Answer>>;
  /** Codes of problems by status, without those that follow from the route; `*`: also others. */
  problems?: Problems;
}

export type Problems = Readonly<Record<number, readonly string[]>>;

/** By `<method> <path>` of the route. */
export type Operations = Readonly<Record<string, Operation>>;

export const operationName = ({ method, path }: Pick<Route, "method" | "path">): string =>
  `${method} ${path}`;

/** Each of its entries is a parameter. */
export type QuerySchema = v.ObjectSchema<v.ObjectEntries, undefined>;

export interface RequestBody {
  /** The first one is the usual one. */
  content: readonly BodyContent[];
  optional?: true;
}

export interface BodyContent {
  type: string;
  schema: v.GenericSchema | "bytes" | "form";
  /** Works as it is, where nothing has to be there before. */
  example?: JsonObject;
}

export interface Answer {
  /** Markdown. */
  description: string;
  content?: readonly AnswerContent[];
  /** Names of headers that it has. */
  headers?: readonly ResponseHeader[];
}

export type AnswerContent =
  | { kind: "json"; schema: v.GenericSchema; example?: JsonObject }
  /** Frames by the name of their event; `data` for frames without a name. */
  | { kind: "events"; events: Readonly<Record<string, v.GenericSchema>> }
  /** A line of JSON each. */
  | { kind: "lines"; lines: v.GenericSchema }
  | { kind: "bytes"; type: string };

/** A header of responses; `HEADERS` of the document says what each means. */
export type ResponseHeader =
  | "Accept-Ranges"
  | "Content-Disposition"
  | "Content-Range"
  | "ETag"
  | "Idempotency-Replayed"
  | "Last-Modified"
  | "Location"
  | "Retry-After"
  | "X-RateLimit-Limit"
  | "X-RateLimit-Remaining"
  | "X-RateLimit-Reset";

/** A path parameter, by its name in the route; `*` is the rest of the path. */
export interface PathParameter {
  description: string;
  schema?: v.GenericSchema;
}

/** One surface, whole. */
export interface Surface {
  routes: readonly Route[];
  operations: Operations;
  /** What each tag stands for, in the order in which they are shown. */
  tags: Readonly<Record<string, string>>;
  params: Readonly<Record<string, PathParameter>>;
  /** Schemas that have a name of their own in the document. */
  schemas: Readonly<Record<string, v.GenericSchema>>;
  /** Schemas that decide by the value what it must be, and the names of those that show what may come of it. */
  shown?: ReadonlyMap<v.GenericSchema, string>;
  /** What a field of a request or a parameter of this name is for, where its schema does not say it. */
  fields: Readonly<Record<string, string>>;
  errors: ErrorShape;
}

/** How a surface says what is wrong. */
export interface ErrorShape {
  type: "application/problem+json" | "application/json";
  /** One of the surface's named schemas. */
  schema: v.GenericSchema;
  /** What a request is answered whose fields are wrong. */
  invalid: 400 | 422;
}

/** A JSON answer. */
export const json = (
  schema: v.GenericSchema,
  description: string,
  more: { headers?: readonly ResponseHeader[]; example?: JsonObject } = {},
): Answer => ({
  description,
  content: [{ kind: "json", schema, ...(more.example ? { example: more.example } : {}) }],
  ...(more.headers ? { headers: more.headers } : {}),
});

/** A JSON body with an example. */
export const jsonBody = (
  schema: v.GenericSchema,
  example: JsonObject,
  more: { optional?: true } = {},
): RequestBody => ({ content: [{ type: "application/json", schema, example }], ...more });
