/** The OpenAPI document: a function of the surfaces' routes and of what is said of them. */
import type * as v from "valibot";
import type { JsonObject } from "../../shared/content.ts";
import { TITLES } from "../problems.ts";
import type { Route } from "../routes.ts";
import { REQUEST_HEADERS, RESPONSE_HEADERS } from "./headers.ts";
import {
  type Answer,
  type AnswerContent,
  type Operation,
  operationName,
  type PathParameter,
  type Problems,
  type RequestBody,
  type ResponseHeader,
  type Surface,
} from "./operation.ts";
import { convertSchemas, convertText, type Schemas } from "./schemas.ts";

/** What the document says of itself. */
export interface Info {
  title: string;
  version: string;
  description: string;
}

/** The document of all surfaces together. What is not both a route and described is not in it. */
export function openApiDocument(info: Info, surfaces: readonly Surface[]): JsonObject {
  const schemas = convertSchemas(
    surfaces.map(({ schemas, operations, shown = new Map(), fields }) => {
      const all = Object.values(operations);
      const sent = all.flatMap(sentSchemas);
      return {
        named: schemas,
        unnamed: [...sent, ...all.flatMap(answeredSchemas)],
        shown,
        sent: new Set(sent),
        fields,
      };
    }),
  );
  const paths: Record<string, JsonObject> = {};
  const responses: Record<string, JsonObject> = {};
  for (const surface of surfaces) {
    const writer = new Writer(surface, schemas, responses);
    const routes = new Map(surface.routes.map((route) => [operationName(route), route]));
    for (const [name, operation] of Object.entries(surface.operations)) {
      const route = routes.get(name);
      if (!route) continue;
      const path = documentPath(route.path);
      const written = writer.operation(route, operation);
      paths[path] = { ...paths[path], [route.method.toLowerCase()]: written };
    }
  }
  return {
    openapi: "3.1.0",
    info: {
      ...info,
      license: { name: "MIT", identifier: "MIT" },
    },
    servers: [{ url: "/", description: "This server" }],
    security: BY_KEY,
    tags: surfaces.flatMap(({ tags }) =>
      Object.entries(tags).map(([name, description]) => ({ name, description })),
    ),
    paths,
    components: {
      securitySchemes: SECURITY,
      schemas: schemas.components,
      responses,
      parameters: Object.fromEntries(
        Object.entries(REQUEST_HEADERS).map(([name, header]) => [
          name,
          { name, in: "header", ...header },
        ]),
      ),
      headers: { ...RESPONSE_HEADERS },
    },
  };
}

const SECURITY: JsonObject = {
  apiKey: { type: "apiKey", in: "header", name: "X-API-Key", description: "A key." },
  bearer: { type: "http", scheme: "bearer", description: "A key, as `Authorization: Bearer`." },
};

const BY_KEY: JsonObject[] = [{ apiKey: [] }, { bearer: [] }];

/** `/api/sessions/:id/files/*` as `/api/sessions/{id}/files/{path}`. */
export const documentPath = (path: string): string =>
  path.replace(/:([a-z0-9_]+)/gi, "{$1}").replace("*", "{path}");

const sentSchemas = ({ body }: Operation): v.GenericSchema[] =>
  body?.content.map(({ schema }) => schema).filter((one) => typeof one !== "string") ?? [];

const answeredSchemas = ({ answers }: Operation): v.GenericSchema[] =>
  Object.values(answers).flatMap(({ content = [] }) => content.flatMap(schemasIn));

function schemasIn(content: AnswerContent): v.GenericSchema[] {
  switch (content.kind) {
    case "json":
      return [content.schema];
    case "events":
      return Object.values(content.events);
    case "lines":
      return [content.lines];
    case "bytes":
      return [];
  }
}

/** Codes of problems by status that a route has because of what it is. */
function commonProblems(
  { scope, limited, path }: Route,
  { query, headers = [], body }: Operation,
  { errors }: Pick<Surface, "errors">,
): Problems {
  const all: [status: number, ...codes: string[]][] = [
    [500, "internal_error"],
    [503, "misconfigured"],
    ...(scope === null ? [] : KEYED),
    ...(limited ? LIMITED : []),
    ...(path.includes("/:") ? NOT_FOUND : []),
    ...(query || body ? [[errors.invalid, "validation_error"] as const] : []),
    ...(body ? TOO_LARGE : []),
    ...(headers.includes("Idempotency-Key") ? KEPT_ONCE : []),
  ].map(([status, ...codes]) => [Number(status), ...codes.map(String)]);
  return merged(all);
}

type Headers = readonly ResponseHeader[];

const RATE_LIMIT: Headers = ["X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"];

const KEYED = [
  [401, "unauthorized", "key_revoked", "key_expired"],
  [403, "missing_scope"],
  [503, "no_api_key", "unavailable"],
] as const;
const LIMITED = [[429, "rate_limit_exceeded"]] as const;
const NOT_FOUND = [[404, "not_found"]] as const;
const TOO_LARGE = [[413, "payload_too_large"]] as const;
const KEPT_ONCE = [
  [400, "invalid_idempotency_key"],
  [409, "idempotency_key_conflict"],
] as const;

function merged(list: readonly [status: number, ...codes: string[]][]): Problems {
  const result: Record<number, string[]> = {};
  for (const [status, ...codes] of list) result[status] = [...(result[status] ?? []), ...codes];
  return result;
}

/** Codes of all problems of a route by status. */
export function problemsOf(route: Route, operation: Operation, surface: Surface): Problems {
  const common = commonProblems(route, operation, surface);
  const own = Object.entries(operation.problems ?? {});
  return merged(
    [...Object.entries(common), ...own].map(([status, codes]) => [Number(status), ...codes]),
  );
}

class Writer {
  readonly #surface: Surface;
  readonly #schemas: Schemas;
  /** Responses that several operations have. */
  readonly #shared: Record<string, JsonObject>;

  constructor(surface: Surface, schemas: Schemas, shared: Record<string, JsonObject>) {
    this.#surface = surface;
    this.#schemas = schemas;
    this.#shared = shared;
  }

  operation(route: Route, operation: Operation): JsonObject {
    const { id, tag, summary, body } = operation;
    const parameters = [
      ...this.#inPath(route),
      ...this.#inQuery(operation),
      ...inHeader(operation),
    ];
    const description = aboutOf(route, operation);
    return {
      operationId: id,
      tags: [tag],
      summary,
      ...(description ? { description } : {}),
      ...securityOf(route),
      ...(parameters.length > 0 ? { parameters } : {}),
      ...(body ? { requestBody: this.#body(body) } : {}),
      responses: { ...this.#answers(route, operation), ...this.#problems(route, operation) },
    };
  }

  #inPath({ path }: Route): JsonObject[] {
    return [...path.matchAll(/:([a-z0-9_]+)|(\*)/gi)].map(([, name = "*"]) => {
      const known: PathParameter | undefined = this.#surface.params[name];
      if (!known) throw new Error(`the path parameter ${name} is not described`);
      return {
        name: name === "*" ? "path" : name,
        in: "path",
        required: true,
        description: known.description,
        schema: known.schema ? convertText(known.schema) : { type: "string" },
      };
    });
  }

  #inQuery({ query }: Operation): JsonObject[] {
    return Object.entries(query?.entries ?? {}).map(([name, schema]) => {
      const { description, ...converted } = convertText(schema);
      const words = this.#surface.fields[name] ?? description;
      return {
        name,
        in: "query",
        ...(schema.type === "optional" ? {} : { required: true }),
        ...(words === undefined ? {} : { description: words }),
        schema: converted,
      };
    });
  }

  #body({ content, optional }: RequestBody): JsonObject {
    const types = content.map(({ type, schema, example }) => [
      type,
      {
        schema: typeof schema === "string" ? rawSchema(schema) : this.#schemas.of(schema),
        ...(example === undefined ? {} : { example }),
      },
    ]);
    return { ...(optional ? {} : { required: true }), content: Object.fromEntries(types) };
  }

  #answers({ limited, tells }: Route, { answers }: Operation): JsonObject {
    const more = limited || tells ? RATE_LIMIT : [];
    return Object.fromEntries(
      Object.entries(answers).map(([status, answer]) => [status, this.#answer(answer, more)]),
    );
  }

  #answer({ description, content = [], headers: own = [] }: Answer, more: Headers): JsonObject {
    const headers = [...own, ...more];
    const types = content.map((one) => this.#content(one));
    return {
      description,
      ...(headers.length > 0 ? { headers: headerReferences(headers) } : {}),
      ...(types.length > 0 ? { content: Object.fromEntries(types) } : {}),
    };
  }

  #content(content: AnswerContent): [type: string, JsonObject] {
    switch (content.kind) {
      case "json": {
        const { schema, example } = content;
        return [
          "application/json",
          { schema: this.#schemas.of(schema), ...(example ? { example } : {}) },
        ];
      }
      case "events": {
        const frames = Object.entries(content.events);
        const shown = frames.map(([name, schema]) => [name, this.#schemas.of(schema)]);
        const names = frames.map(([name]) => `\`${name}\``).join(", ");
        const description = `Server-sent events: ${names}. The data of each is a line of JSON, whose schema is in \`x-events\`.`;
        return [
          "text/event-stream",
          { schema: { type: "string", description }, "x-events": Object.fromEntries(shown) },
        ];
      }
      case "lines": {
        const description = "JSON Lines. The schema of a line is in `x-line`.";
        const line = this.#schemas.of(content.lines);
        return ["application/jsonl", { schema: { type: "string", description }, "x-line": line }];
      }
      case "bytes":
        return [content.type, { schema: rawSchema("bytes") }];
    }
  }

  #problems(route: Route, operation: Operation): JsonObject {
    const { errors } = this.#surface;
    const common = commonProblems(route, operation, this.#surface);
    const all = problemsOf(route, operation, this.#surface);
    const { $ref } = this.#schemas.of(errors.schema);
    const form = String($ref).split("/").at(-1);
    return Object.fromEntries(
      Object.entries(all).map(([status, codes]) => {
        const response = this.#problem(Number(status), codes);
        const shared = common[Number(status)]?.length === codes.length;
        if (!shared) return [status, response];
        const name = [form, status, ...codes].join("_");
        this.#shared[name] = response;
        return [status, { $ref: `#/components/responses/${name}` }];
      }),
    );
  }

  #problem(status: number, codes: readonly string[]): JsonObject {
    const { errors } = this.#surface;
    const title = isKnownStatus(status) ? TITLES[status] : String(status);
    const told = codes.filter((code) => code !== "*").map((code) => `\`${code}\``);
    const others = codes.includes("*") ? ["the code of the failure"] : [];
    const waits = status === 429 || status === 503 ? (["Retry-After"] as const) : [];
    return {
      description: `${title}: ${[...told, ...others].join(", ")}`,
      ...(waits.length > 0 ? { headers: headerReferences(waits) } : {}),
      content: { [errors.type]: { schema: this.#schemas.of(errors.schema) } },
    };
  }
}

const isKnownStatus = (status: number): status is keyof typeof TITLES =>
  Object.hasOwn(TITLES, status);

/** Of bodies that are no JSON. */
function rawSchema(kind: "bytes" | "form"): JsonObject {
  const file = { type: "string", format: "binary" };
  switch (kind) {
    case "bytes":
      return file;
    case "form":
      return { type: "object", properties: { file }, required: ["file"] };
  }
}

const headerReferences = (names: readonly string[]): JsonObject =>
  Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }]));

const inHeader = ({ headers = [] }: Operation): JsonObject[] =>
  headers.map((name) => ({ $ref: `#/components/parameters/${name}` }));

const securityOf = ({ scope }: Route): JsonObject => (scope === null ? { security: [] } : {});

function aboutOf({ scope }: Route, { description }: Operation): string {
  const needs = scope === null ? "Needs no key." : `Needs the scope \`${scope}\`.`;
  return [description, needs].filter((one) => one !== undefined).join("\n\n");
}
