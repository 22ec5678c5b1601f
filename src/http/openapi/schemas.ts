/** Valibot schemas as JSON Schema, as the document needs them. */
import { type ConversionConfig, toJsonSchema, toJsonSchemaDefs } from "@valibot/to-json-schema";
import type * as v from "valibot";
import { isJsonObject as isObject, type Json, type JsonObject } from "../../shared/content.ts";
import { jsonObject } from "../validate.ts";

const PLACE = "#/components/schemas/";

/** Rules that JSON Schema cannot say, and changes that a value goes through after it was checked. */
const UNSAID = new Set(["check", "finite", "normalize", "not_value", "transform"]);

/** The schemas of one surface. */
export interface SchemaGroup {
  named: Readonly<Record<string, v.GenericSchema>>;
  unnamed: readonly v.GenericSchema[];
  /** By schema the name of the one that is shown in its place. */
  shown: ReadonlyMap<v.GenericSchema, string>;
  /** What clients send. */
  sent: ReadonlySet<v.GenericSchema>;
  /** What a field of this name is for in what clients send, where its schema does not say it. */
  fields: Readonly<Record<string, string>>;
}

export interface Schemas {
  /** By name. */
  components: Record<string, JsonObject>;
  /** One of the groups' schemas: a reference where it has a name. */
  of: (schema: v.GenericSchema) => JsonObject;
}

/**
 * Converts all schemas of a document at once, because each conversion converts the named ones too.
 *
 * @throws Error when one cannot be said in JSON Schema, or two have one name
 */
export function convertSchemas(groups: readonly SchemaGroup[]): Schemas {
  const definitions: Record<string, v.GenericSchema> = {};
  const places = new Map<v.GenericSchema, string>();
  const names = new Set<string>();
  const fieldsOf = new Map<string, SchemaGroup["fields"]>();
  for (const { named, sent, fields } of groups) {
    for (const [name, schema] of Object.entries(named)) {
      if (names.has(name)) throw new Error(`two schemas have the name ${name}`);
      names.add(name);
      definitions[name] = schema;
      places.set(schema, name);
      if (sent.has(schema)) fieldsOf.set(name, fields);
    }
  }
  for (const { unnamed, sent, fields } of groups) {
    for (const schema of unnamed) {
      if (places.has(schema)) continue;
      const place = `unnamed ${places.size}`;
      places.set(schema, place);
      // A copy is another schema, so that no other one refers to it.
      definitions[place] = { ...schema };
      if (sent.has(schema)) fieldsOf.set(place, fields);
    }
  }
  const shown = new Map(groups.flatMap((one) => [...one.shown]));
  const all = toJsonSchemaDefs(definitions, { ...config(shown), typeMode: "input" });
  // What JSON Schema can be is JSON; its interface has no index signature.
  const converted = all as Readonly<Record<string, JsonObject>>;
  // What a schema decides to be has got a name of the converter's, under which nobody knows it.
  const named = (place: string) => (names.has(place) ? null : (converted[place] ?? {}));
  const finished = (place: string) =>
    described(tidied(converted[place] ?? {}, named), fieldsOf.get(place) ?? {});
  return {
    components: Object.fromEntries([...names].map((name) => [name, finished(name)])),
    of(schema) {
      const place = places.get(schema);
      if (place === undefined) throw new Error("a schema is in no group");
      return names.has(place) ? { $ref: PLACE + place } : finished(place);
    },
  };
}

/** A value that comes as text, in a path or a query: what it is read as. */
export function convertText(schema: v.GenericSchema): JsonObject {
  const { $schema: _, ...converted } = toJsonSchema(schema, config(new Map()));
  const { default: preset, ...rest } = converted as JsonObject;
  if (preset === undefined) return rest;
  return { ...rest, default: rest.type === "integer" ? Number(preset) : preset };
}

const config = (shown: SchemaGroup["shown"]): ConversionConfig => ({
  target: "draft-2020-12",
  overrideRef: ({ referenceId }) => PLACE + referenceId,
  overrideSchema({ valibotSchema, jsonSchema, errors }) {
    const name = shown.get(valibotSchema);
    if (name !== undefined) return { $ref: PLACE + name };
    if (valibotSchema === jsonObject) return { type: "object" };
    if (valibotSchema.type === "custom") return {};
    if (valibotSchema.type === "loose_object") return { ...jsonSchema, additionalProperties: true };
    if (errors) throw new Error(errors.join(" "));
    return null;
  },
  overrideAction({ valibotAction, jsonSchema, errors }) {
    const { type } = valibotAction;
    // Only numbers in a text are asked for digits.
    if (type === "digits") return { type: "integer" };
    if (type === "to_number") return jsonSchema;
    if (!UNSAID.has(type)) return errors ? fail(errors) : null;
    // A rule of our own says in words what it wants.
    const words = "message" in valibotAction ? valibotAction.message : null;
    if (typeof words !== "string" || jsonSchema.description !== undefined) return jsonSchema;
    return { ...jsonSchema, description: words };
  },
});

/** Gives what stands in the place of a reference that nobody knows; null where it is known. */
type Unknown = (place: string) => JsonObject | null;

const tidied = (schema: JsonObject, unknown: Unknown): JsonObject => {
  const value = tidy(schema, unknown);
  return isObject(value) ? value : {};
};

const fail = (errors: readonly string[]): never => {
  throw new Error(errors.join(" "));
};

/** Words for the fields of an object that have none. */
function described(schema: JsonObject, fields: SchemaGroup["fields"]): JsonObject {
  const { properties } = schema;
  if (!isObject(properties)) return schema;
  const entries = Object.entries(properties).map(([name, value]) => {
    const words = fields[name];
    const silent = isObject(value) && value.description === undefined;
    return [name, silent && words !== undefined ? { ...value, description: words } : value];
  });
  return { ...schema, properties: Object.fromEntries(entries) };
}

/** The same in fewer words: without fields that no value may have, and without empty lists. */
function tidy(value: Json, unknown: Unknown): Json {
  if (Array.isArray(value)) return value.map((one) => tidy(one, unknown));
  if (!isObject(value)) return value;
  const { properties, required, ...rest } = value;
  const inPlace = typeof rest.$ref === "string" ? unknown(rest.$ref.slice(PLACE.length)) : null;
  if (inPlace) return tidy(inPlace, unknown);
  const schema = tidyAll(rest, unknown);
  if (isObject(properties)) {
    const allowed = Object.entries(properties).filter(([, one]) => !isNever(one));
    schema.properties = tidyAll(Object.fromEntries(allowed), unknown);
  } else if (properties !== undefined) {
    schema.properties = properties;
  }
  const isEmpty = Array.isArray(required) && required.length === 0;
  if (required !== undefined && !isEmpty) schema.required = required;
  return orNull(schema);
}

const tidyAll = (values: JsonObject, unknown: Unknown): JsonObject =>
  Object.fromEntries(Object.entries(values).map(([key, one]) => [key, tidy(one, unknown)]));

/** `anyOf` of one type and of null as a type of both. */
function orNull(schema: JsonObject): JsonObject {
  const { anyOf, ...rest } = schema;
  if (!Array.isArray(anyOf) || anyOf.length !== 2) return schema;
  const [one, other] = anyOf;
  if (!isObject(one) || !isObject(other) || other.type !== "null") return schema;
  if (typeof one.type !== "string" || one.const !== undefined) return schema;
  const values = Array.isArray(one.enum) ? { enum: [...one.enum, null] } : {};
  return { ...one, ...values, type: [one.type, "null"], ...rest };
}

const isNever = (value: Json): boolean =>
  isObject(value) && isObject(value.not) && Object.keys(value.not).length === 0;
