/** Requests that nobody should send, for each route. */
import fc from "fast-check";
import type { Route } from "../../src/http/routes.ts";
import type { Json, JsonObject } from "../../src/shared/content.ts";
import type { Headers } from "../api/cc/server.ts";
import { FIELDS, QUERY_NAMES } from "./fields.ts";
import { bodyOf, hasBody, nameOf } from "./surface.ts";
import { strangeBytes, strangeJson, strangeSegment, strangeText, strangeValue } from "./values.ts";

/** Visible and other bytes as a header may carry them. */
export const headerText = fc.oneof(
  fc.constantFrom(
    "",
    "*",
    '"',
    '"a", "b"',
    'W/"x"',
    "bytes=0-",
    "bytes=5-2",
    "bytes=-0",
    "bytes=0-1,3-4",
    "bytes=99999999999999999999-",
    "lines=1-2",
    "wait=0",
    "wait=-1, wait=x",
    "text/event-stream",
    "text/event-stream;q=x",
    "application/json; charset=utf-16",
    "multipart/form-data",
    "multipart/form-data; boundary=",
    `multipart/form-data; boundary=${"b".repeat(200)}`,
    "application/zip",
    "gzip",
    "chunked",
    "100-continue",
    "-1",
    "1:2:3",
    "7+7",
    "0x1",
    "99999999999999999999",
    "Thu, 99 Foo 9999 99:99:99 GMT",
    "x".repeat(20_000),
  ),
  fc.string({ maxLength: 40 }).map((text) => text.replace(/[^\x20-\x7e]/g, "").trim()),
);

const HEADER_NAMES = [
  "accept",
  "accept-encoding",
  "content-encoding",
  "content-type",
  "expect",
  "if-match",
  "if-modified-since",
  "if-none-match",
  "if-range",
  "if-unmodified-since",
  "idempotency-key",
  "last-event-id",
  "origin",
  "prefer",
  "range",
  "x-request-id",
];

const strangeHeaders = fc.dictionary(
  fc.constantFrom(...HEADER_NAMES),
  // Of two with one name the platform makes one with a comma.
  fc.oneof(
    { weight: 4, arbitrary: headerText },
    fc.tuple(headerText, headerText).map((two) => two.join(", ")),
  ),
  { maxKeys: 3 },
);

export const strangeQuery = fc
  .array(fc.tuple(fc.constantFrom(...QUERY_NAMES), fc.oneof(strangeText, strangeSegment)), {
    maxLength: 3,
  })
  .map((pairs) => pairs.map(([name, value]) => `${name}=${encoded(value)}`).join("&"));

/** Sometimes as it is, so that broken percent signs come through. */
const encoded = (text: string): string =>
  /^[\w%.:+-]*$/.test(text) ? text : encodeURIComponent(text.toWellFormed());

/** A body that fits, with one thing in it that does not. */
const nearly = (route: Route): fc.Arbitrary<Json> => {
  const fields: JsonObject = FIELDS[nameOf(route)] ?? {};
  const names = [...Object.keys(fields), "unknown"];
  const base = bodyOf(route, { call: "call_1_0" });
  const whole = { ...(typeof base === "object" ? base : {}), ...fields };
  return fc
    .record({ name: fc.constantFrom(...names), value: strangeValue, with: fc.subarray(names) })
    .map(({ name, value, with: others }) => {
      const kept = Object.entries(whole).filter(([one]) => others.includes(one));
      return JSON.parse(
        JSON.stringify({ ...Object.fromEntries(kept), ...(base as object), [name]: value }),
      ) as Json;
    });
};

/** The same one level deeper: each value that is in a list or object, replaced. */
const inside = (route: Route): fc.Arbitrary<Json> => {
  const whole: JsonObject = { ...(FIELDS[nameOf(route)] ?? {}) };
  // What is no image, and what is wrong inside a schema, only the model's API finds out: then a turn
  // fails, and no request is refused.
  const places = placesIn(whole).filter(
    (place) =>
      !/^(data|url)$/.test(place.at(-1) ?? "") &&
      !place.slice(0, -1).some((name) => /schema$|^parameters$/.test(name)),
  );
  if (places.length === 0) return strangeValue;
  return fc
    .record({ place: fc.constantFrom(...places), value: strangeValue })
    .map(({ place, value }) => replaced(whole, place, value));
};

const placesIn = (value: Json | undefined, at: readonly string[] = []): (readonly string[])[] =>
  typeof value === "object" && value !== null
    ? Object.entries(value).flatMap(([name, one]) => [
        [...at, name],
        ...placesIn(one, [...at, name]),
      ])
    : [];

function replaced(value: Json, [name, ...rest]: readonly string[], by: Json): Json {
  if (name === undefined) return by;
  if (Array.isArray(value))
    return value.map((one, i) => (String(i) === name ? replaced(one, rest, by) : one));
  const object = value as JsonObject;
  return { ...object, [name]: replaced(object[name] ?? null, rest, by) };
}

/** A form that is broken somewhere: each of its parts may be cut off or replaced. */
const form = fc
  .record({
    boundary: fc.constantFrom("x", "y", ""),
    disposition: fc.constantFrom(
      'form-data; name="f"; filename="a.txt"',
      'form-data; name="f"; filename="../a.txt"',
      'form-data; name="f"; filename="a\u0000b"',
      'form-data; name="path"',
      "form-data",
      "form-data; name=\"f\"; filename*=UTF-8''%ff",
      "",
    ),
    content: strangeText,
    cut: fc.nat(200),
  })
  .map(({ boundary, disposition, content, cut }) =>
    `--${boundary}\r\nContent-Disposition: ${disposition}\r\n\r\n${content.toWellFormed()}\r\n--${boundary}--\r\n`.slice(
      0,
      cut,
    ),
  );

/** An archive with one file in it, with bytes of it changed or cut off. */
const archive = fc
  .record({ at: fc.nat(150), byte: fc.nat(255), length: fc.integer({ min: 0, max: 150 }) })
  .map(({ at, byte, length }) => {
    const bytes = Uint8Array.fromHex(ARCHIVE);
    bytes[at % bytes.length] = byte;
    return bytes.slice(0, length);
  });

const ARCHIVE =
  "504b03040a0000000000000021008c736121010000000100000005000000612e74787461" +
  "504b01021e030a0000000000000021008c736121010000000100000005000000000000000000000000000000000000000000612e747874" +
  "504b0506000000000100010033000000240000000000";

type Body = string | Uint8Array | Json | undefined;

function bodies(route: Route): fc.Arbitrary<Body> {
  if (!hasBody(route)) return fc.constant(undefined);
  const special: fc.Arbitrary<Body>[] = route.path.endsWith("/files")
    ? [form, form]
    : route.path.endsWith("/zip")
      ? [archive, archive]
      : [];
  return fc.oneof<fc.Arbitrary<Body>[]>(
    nearly(route),
    nearly(route),
    inside(route),
    inside(route),
    strangeJson,
    strangeBytes,
    strangeValue,
    ...special,
  );
}

export interface Strange {
  segment: { name: string; value: string } | null;
  query: string;
  headers: Headers;
  body: unknown;
  method: string | null;
}

/** The session is to stay until the end. */
const DELETES_SESSION = /^DELETE .*\/sessions\/:\w+$/;

export function strangeRequest(route: Route): fc.Arbitrary<Strange> {
  const names = route.path.match(/:\w+|\*/g) ?? [];
  const segment = fc.record({ name: fc.constantFrom("none", ...names), value: strangeSegment });
  return fc.record({
    segment: DELETES_SESSION.test(nameOf(route))
      ? segment.map(({ value }) => ({ name: names[0] ?? "", value }))
      : fc.oneof({ weight: 4, arbitrary: fc.constant(null) }, segment),
    query: fc.oneof(fc.constant(""), strangeQuery),
    headers: strangeHeaders,
    body: bodies(route),
    method: fc.oneof(
      { weight: 19, arbitrary: fc.constant(null) },
      fc.constantFrom("OPTIONS", "PROPFIND", "PURGE"),
    ),
  });
}
