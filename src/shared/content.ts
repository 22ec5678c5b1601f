/** Content of messages: what clients send, and what the model sends. */

/** A JSON value as `JSON.parse` gives it. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };

export const isJsonObject = (value: Json | undefined): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Bytes that live in the `media` table and not in the row. `bytes` is their decoded length. */
export interface MediaSource {
  type: "media";
  media_type: string;
  bytes: number;
  sha256: string;
}

export interface Base64Source {
  type: "base64";
  media_type: string;
  data: string;
}

export interface TextSource {
  type: "text";
  media_type: "text/plain";
  data: string;
}

export interface FileSource {
  type: "file";
  file_id: string;
}

export interface TextBlock {
  type: "text";
  text: string;
}

export interface ImageBlock {
  type: "image";
  source: Base64Source | MediaSource | FileSource;
}

export interface DocumentBlock {
  type: "document";
  source: Base64Source | MediaSource | TextSource | FileSource;
  title?: string;
  context?: string;
  citations?: { enabled: boolean };
}

/** What a client may put into a message or a tool result, after validation. */
export type ContentBlock = TextBlock | ImageBlock | DocumentBlock;

/** A content block of the model's message, exactly as received. Only `type` is relied on. */
export interface ModelBlock {
  type: string;
  [field: string]: Json;
}
