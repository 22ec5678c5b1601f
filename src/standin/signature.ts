import { digest } from "./hash.ts";

/** What a thinking block's signature says about the place it was made for. */
export interface ThinkingSeal {
  readonly model: string;
  /** Hash of system, tools and every block before it, thinking left out. */
  readonly prefix: number;
  /** Hash of the thinking block before it; 0 where there is none. */
  readonly previous: number;
  /** Hash of the thinking text. */
  readonly text: number;
}

/** What a compaction block's signature says about the messages it stands for. */
export interface CompactionSeal {
  /** Hash of system and tools. */
  readonly start: number;
  /** Hash of everything up to the last summarised block. */
  readonly end: number;
  readonly lastRole: string;
  readonly content: number;
  readonly changes: number;
  /** Thinking behind the summary stays readable. */
  readonly keepsThinking: boolean;
}

export function sealThinking(seal: ThinkingSeal): string {
  return pack("thinking", [seal.model, seal.prefix, seal.previous, seal.text]);
}

/** Undefined for a signature that the stand-in did not make. */
export function openThinking(signature: string): ThinkingSeal | undefined {
  const fields = unpack("thinking", signature);
  if (!fields) return undefined;
  const [model = "", prefix = "", previous = "", text = ""] = fields;
  return { model, prefix: Number(prefix), previous: Number(previous), text: Number(text) };
}

export function sealCompaction(seal: CompactionSeal): string {
  return pack("compaction", [
    seal.start,
    seal.end,
    seal.lastRole,
    seal.content,
    seal.changes,
    seal.keepsThinking ? 1 : 0,
  ]);
}

export function openCompaction(signature: string): CompactionSeal | undefined {
  const fields = unpack("compaction", signature);
  if (!fields) return undefined;
  const [start = "", end = "", lastRole = "", content = "", changes = "", keeps = ""] = fields;
  return {
    start: Number(start),
    end: Number(end),
    lastRole,
    content: Number(content),
    changes: Number(changes),
    keepsThinking: keeps === "1",
  };
}

function pack(kind: string, fields: readonly (string | number)[]): string {
  const body = [kind, ...fields].join("|");
  return btoa(`${body}|${digest(`stand-in ${body}`).hash}`);
}

function unpack(kind: string, signature: string): string[] | undefined {
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(signature) || signature.length % 4 !== 0) return undefined;
  const packed = atob(signature);
  const cut = packed.lastIndexOf("|");
  const body = packed.slice(0, cut);
  if (packed.slice(cut + 1) !== String(digest(`stand-in ${body}`).hash)) return undefined;
  const [found, ...fields] = body.split("|");
  return found === kind ? fields : undefined;
}
