/** YAML as a request's body: JSON in another spelling, and nothing that acts. */
import type { Json } from "../shared/content.ts";
import { wellFormed } from "../shared/well-formed.ts";
import { readText } from "./body.ts";
import { invalidField, ProblemError } from "./problems.ts";

const MAX_BYTES = 4 * 1024 * 1024;

/**
 * Words, marks and line ends of the text. A text of marks takes a hundred times as long to parse as
 * one of words, and an object for each.
 */
const MAX_TOKENS = 20_000;

const TYPES = /^(application|text)\/(x-)?yaml$/i;

/** The request says that its body is YAML. */
export function isYaml(request: Request): boolean {
  const [type = ""] = (request.headers.get("content-type") ?? "").split(";");
  return TYPES.test(type.trim());
}

let loaded: Promise<typeof import("yaml")> | undefined;

/**
 * The value of a request's body in YAML 1.2 (core schema). Refused are names that stand twice, since
 * nobody knows which is meant, tags, and aliases, which make much out of little.
 *
 * @throws ProblemError 413 or 422
 */
export async function readYaml(request: Request, maxBytes: number): Promise<Json> {
  const text = await readText(request, Math.min(maxBytes, MAX_BYTES));
  loaded ??= import("yaml");
  const { Lexer, LineCounter, parseDocument } = await loaded;
  let tokens = 0;
  for (const _ of new Lexer().lex(text)) {
    tokens += 1;
    if (tokens > MAX_TOKENS) throw refused("body", "yaml_too_many", TOO_MANY);
  }
  const lineCounter = new LineCounter();
  const document = parseDocument(text, {
    lineCounter,
    prettyErrors: false,
    resolveKnownTags: false,
    schema: "core",
  });
  const [fault] = [...document.errors, ...document.warnings];
  if (fault) {
    const { line } = lineCounter.linePos(fault.pos[0]);
    throw refused(`body -> line ${line}`, "yaml_invalid", MESSAGES[fault.code] ?? INVALID);
  }
  try {
    // The core schema knows no other values than those of JSON, but for numbers that are not finite.
    return wellFormed(document.toJS({ maxAliasCount: 0 }) as Json);
  } catch {
    // An alias, or more levels inside one another than the machine can follow.
    throw refused("body", "yaml_invalid", "The body has an alias or is nested too deeply");
  }
}

const INVALID = "The body is not valid YAML";

const MESSAGES: Readonly<Record<string, string>> = {
  DUPLICATE_KEY: "A name stands twice here",
  MULTIPLE_DOCS: "The body should be one YAML document",
  TAG_RESOLVE_FAILED: "Tags are not permitted",
};

const TOO_MANY = `The body has more than ${MAX_TOKENS} words and marks`;

const refused = (field: string, type: string, message: string): ProblemError =>
  new ProblemError(invalidField(field, type, message));
