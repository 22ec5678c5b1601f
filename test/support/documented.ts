/**
 * Holds answers against the description of the API: their status, type, headers and shape, each frame
 * of a stream and each line of a file. Objects may have no member that is not described, although
 * clients are told to expect some. What does not fit is collected.
 */
import { dereference, type Schema, validate } from "@cfworker/json-schema";
import { createParser } from "eventsource-parser";
import { document, surfaces } from "../../src/api/openapi/document.ts";
import { documentPath, problemsOf } from "../../src/http/openapi/document.ts";
import { RESPONSE_HEADERS } from "../../src/http/openapi/headers.ts";
import { operationName, type Surface } from "../../src/http/openapi/operation.ts";
import type { Route } from "../../src/http/routes.ts";
import { isJsonObject, type Json, type JsonObject } from "../../src/shared/content.ts";

/** What of a response object is looked at here. */
interface Described {
  content?: Record<string, Media>;
  headers?: JsonObject;
}

interface Media {
  schema: Schema;
  "x-events"?: Record<string, Schema>;
  "x-line"?: Schema;
}

interface Place {
  name: string;
  route: Route;
  surface: Surface;
  pattern: RegExp;
  responses: Record<string, Described>;
}

let complaints: string[] = [];

/** What did not fit since it was last asked for. */
export function takeComplaints(): string[] {
  const all = complaints;
  complaints = [];
  return all;
}

/** The same response, looked at: JSON at once, everything else as it is read. */
export async function documented(
  method: string,
  path: string,
  response: Response,
): Promise<Response> {
  const place = placeOf(method === "HEAD" ? "GET" : method, path);
  // A path or a method that there is not.
  if (!place) return response;
  const complain = (what: string) => {
    complaints.push(`${place.name} ${response.status}: ${what}`);
  };
  const described = place.responses[response.status];
  if (!described) {
    complain(`is not described: ${await response.clone().text()}`);
    return response;
  }
  for (const name of Object.keys(RESPONSE_HEADERS)) {
    // Lists of what a problem may have would say nothing of any one.
    if (response.ok && response.headers.has(name) && !Object.hasOwn(described.headers ?? {}, name))
      complain(`has an undescribed ${name}`);
  }
  if (method === "HEAD" || response.body === null) return response;
  const type = response.headers.get("content-type")?.split(";")[0] ?? "";
  const media = described.content?.[type] ?? described.content?.["*/*"];
  if (!media) {
    complain(`has an undescribed type ${type}`);
    return response;
  }
  if (media["x-events"]) return watched(response, framesIn(media["x-events"], complain));
  if (media["x-line"]) return watched(response, linesIn(media["x-line"], complain));
  if (!type.endsWith("json")) return response;
  const text = await response.text();
  const value: unknown = JSON.parse(text);
  const wrong = faults(value, media.schema);
  if (wrong) complain(`${wrong} in ${text.slice(0, 1000)}`);
  if (!response.ok) {
    const codes = problemCodes(place)[response.status] ?? [];
    const code = codeOf(value);
    if (!codes.includes("*") && !codes.includes(code)) complain(`has an undescribed code ${code}`);
  }
  return new Response(text, response);
}

const problemCodes = ({ route, surface, name }: Place) => {
  const operation = surface.operations[name];
  return operation ? problemsOf(route, operation, surface) : {};
};

/** Each surface has it at its own place. */
function codeOf(value: unknown): string {
  if (typeof value !== "object" || value === null) return "";
  if ("error" in value && typeof value.error === "object" && value.error && "code" in value.error)
    return String(value.error.code);
  return "code" in value ? String(value.code) : "";
}

/** The response, of which `look` sees each piece of text on its way. */
function watched(response: Response, look: (text: string) => void): Response {
  const decoder = new TextDecoder();
  const watching = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      look(decoder.decode(chunk, { stream: true }));
      controller.enqueue(chunk);
    },
  });
  return new Response(response.body?.pipeThrough(watching), response);
}

function framesIn(events: Record<string, Schema>, complain: (what: string) => void) {
  const parser = createParser({
    onEvent({ event = "message", data }) {
      const schema = events[event];
      if (!schema) return complain(`has an undescribed frame ${event}: ${data}`);
      const wrong = faults(JSON.parse(data), schema);
      if (wrong) complain(`${wrong} in the frame ${event}: ${data.slice(0, 1000)}`);
    },
  });
  return (text: string) => parser.feed(text);
}

function linesIn(schema: Schema, complain: (what: string) => void) {
  let rest = "";
  return (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const wrong = faults(JSON.parse(line), schema);
      if (wrong) complain(`${wrong} in the line ${line.slice(0, 1000)}`);
    }
  };
}

/** Null where the value is as the schema says. */
function faults(value: unknown, schema: Schema): string | null {
  const { lookup } = known;
  const { valid, errors } = validate(value, schema, "2020-12", lookup, false);
  if (valid) return null;
  const deepest = errors.toSorted(
    (a, b) => b.instanceLocation.split("/").length - a.instanceLocation.split("/").length,
  );
  return deepest
    .slice(0, 3)
    .map(({ instanceLocation, error }) => `${instanceLocation}: ${error}`)
    .join(" ");
}

const placeOf = (method: string, path: string): Place | undefined =>
  known.places.find((one) => one.route.method === method && one.pattern.test(path));

interface Known {
  places: readonly Place[];
  lookup: ReturnType<typeof dereference>;
}

async function make(): Promise<Known> {
  // It is plain JSON, of the form that `openApiDocument` gives it.
  const { paths, components } = closed(await document()) as unknown as {
    paths: Record<string, Record<string, Item>>;
    components: { schemas: JsonObject; responses: Record<string, Described> };
  };
  const schemas: Schema[] = [];
  const places = (await surfaces()).flatMap((surface) =>
    surface.routes.flatMap((route) => {
      const item = paths[documentPath(route.path)]?.[route.method.toLowerCase()];
      return item ? [place(surface, route, item)] : [];
    }),
  );
  // What has a name of its own goes before what has a parameter there.
  places.sort((a, b) => parameters(a) - parameters(b));
  // The validator knows only schemas that it has seen, and takes every object for one.
  const seen = { components: { schemas: components.schemas }, inline: { ...schemas } };
  return { places, lookup: dereference(seen as Schema) };

  function place(surface: Surface, route: Route, { responses }: Item): Place {
    const resolved = Object.entries(responses).map(([status, response]) => {
      const name = response.$ref?.split("/").at(-1);
      return [status, name === undefined ? response : (components.responses[name] ?? {})] as const;
    });
    for (const [, { content = {} }] of resolved) {
      for (const media of Object.values(content)) {
        schemas.push(media.schema, ...Object.values(media["x-events"] ?? {}));
        if (media["x-line"]) schemas.push(media["x-line"]);
      }
    }
    const name = operationName(route);
    const pattern = new RegExp(
      `^${route.path
        .replace(/[.]/g, "\\.")
        .replace(/:[a-z0-9_]+/gi, "[^/]+")
        .replace("*", ".+")}$`,
    );
    return { name, route, surface, pattern, responses: Object.fromEntries(resolved) };
  }
}

interface Item {
  responses: Record<string, Described & { $ref?: string }>;
}

const parameters = ({ route }: Place): number => route.path.split(/[:*]/).length;

/** The same, with no room in objects for what is not described. */
function closed<T extends Json>(value: T): T;
function closed(value: Json): Json {
  if (Array.isArray(value)) return value.map(closed);
  if (!isJsonObject(value)) return value;
  const inside = Object.fromEntries(Object.entries(value).map(([key, one]) => [key, closed(one)]));
  const open = !isJsonObject(value.properties) || value.additionalProperties !== undefined;
  return open ? inside : { ...inside, additionalProperties: false };
}

const known = await make();
