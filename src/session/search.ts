/**
 * Looks for a text in a session's messages, answers, tool calls and results, newest first. What a
 * compaction has covered is in the log like everything else. Each call reads a bounded part of it.
 */

import type { ContentBlock, Json, ModelBlock } from "../shared/content.ts";
import { wholePlace } from "../shared/cursor.ts";
import { eventsOf } from "../shared/row-events.ts";
import type { Row, RowType } from "../shared/rows.ts";
import { textPattern } from "../shared/text-pattern.ts";
import { EMPTY_VIEW } from "../shared/view.ts";
import type { Log } from "./log.ts";

export interface SearchAsked {
  /** Plain text; upper and lower case are the same. */
  text: string;
  /** Rows before this one are looked at; null for all. */
  before: number | null;
  limit: number;
}

export interface SearchHit {
  /** The row's seq, which is the id of its event. */
  id: number;
  /** Milliseconds since the epoch. */
  at: number;
  /** The type of its event. */
  type: string;
  /** Public id of its turn; null for a message that waits, or waited, for one. */
  turn: string | null;
  role: "user" | "assistant" | "tool";
  snippet: string;
  /** Where in the snippet the match is, in UTF-16 units. */
  match: { start: number; length: number };
}

export interface SearchPage {
  hits: SearchHit[];
  /** Rows before this one have not been looked at; null when all have. */
  next: number | null;
}

const SEARCHED: readonly RowType[] = [
  "input",
  "block.text",
  "block.tool",
  "block.other",
  "tool.ended",
];

/** Stored bytes that one call looks at, and rows: whatever of the two comes first. */
const MOST_BYTES = 2_000_000;
const MOST_ROWS = 5_000;
/** UTF-16 units of a snippet on each side of the match. */
const AROUND = 80;

/** A page of hits; it may be empty and yet not the last. */
export function searchLog(
  log: Log,
  { text, before, limit }: SearchAsked,
  head: number,
): SearchPage {
  const pattern = textPattern(text);
  const hits: SearchHit[] = [];
  let bytes = 0;
  let rows = 0;
  let seen = before ?? head + 1;
  for (const { seq, size, row: read } of log.backwards(SEARCHED, seen)) {
    // One row is looked at whatever its size, or a long one could never be passed.
    const enough = bytes + size > MOST_BYTES || rows === MOST_ROWS;
    if (hits.length === limit || (rows > 0 && enough)) return { hits, next: seen };
    bytes += size;
    rows += 1;
    seen = seq;
    const row = read();
    const hit = row && hitIn(row, pattern);
    if (hit) hits.push(hit);
  }
  return { hits, next: null };
}

function hitIn(row: Row, pattern: RegExp): SearchHit | null {
  const { role, texts } = searched(row);
  for (const text of texts) {
    const found = pattern.exec(text);
    if (!found) continue;
    const [event] = eventsOf(row, EMPTY_VIEW);
    if (!event) return null;
    const { type, turn } = event;
    const place = snippetOf(text, found.index, found[0].length);
    return { id: row.seq, at: row.at, type, turn, role, ...place };
  }
  return null;
}

function snippetOf(text: string, at: number, length: number): Pick<SearchHit, "snippet" | "match"> {
  const from = wholePlace(text, Math.max(0, at - AROUND));
  const to = wholePlace(text, Math.min(text.length, at + length + AROUND));
  return { snippet: text.slice(from, to), match: { start: at - from, length } };
}

function searched(row: Row): { role: SearchHit["role"]; texts: string[] } {
  switch (row.type) {
    case "input":
      return { role: "user", texts: textsOf(row.body.content) };
    case "block.text":
    case "block.tool":
    case "block.other":
      return inBlock(row.body.block);
    case "tool.ended":
      return { role: "tool", texts: textsOf(row.body.content) };
    default:
      return { role: "user", texts: [] };
  }
}

function inBlock(block: ModelBlock): { role: SearchHit["role"]; texts: string[] } {
  if (block.type === "text") return { role: "assistant", texts: [String(block.text)] };
  if (block.type.endsWith("tool_use")) {
    return { role: "assistant", texts: [String(block.name), JSON.stringify(block.input ?? {})] };
  }
  const isResult = typeof block.tool_use_id === "string";
  return { role: "tool", texts: isResult ? strings(block.content ?? null) : [] };
}

const textsOf = (content: readonly ContentBlock[]): string[] =>
  content.flatMap((block) => {
    if (block.type === "text") return [block.text];
    if (block.type !== "document") return [];
    const { title, source } = block;
    return [...(title ? [title] : []), ...(source.type === "text" ? [source.data] : [])];
  });

/** What is there for the API only is no text. */
const UNREADABLE = /^encrypted_|^(signature|data)$/;

/** All texts in what a tool of the API gave. */
function strings(value: Json): string[] {
  if (typeof value === "string") return [value];
  if (Array.isArray(value)) return value.flatMap(strings);
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([name, one]) =>
    UNREADABLE.test(name) ? [] : strings(one),
  );
}
