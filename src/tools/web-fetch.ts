/** Pages of the web, as text that a model can read. */
import * as v from "valibot";
import { textOfHtml } from "../net/html-text.ts";
import type { GuardedResponse } from "../net/request.ts";
import { shortened } from "./long-output.ts";
import { mediaBlock, mediaTypeOf, mostBytes } from "./media-type.ts";
import { textOf } from "./text-file.ts";
import { defineTool, errorResult, type ToolContext, type ToolResult } from "./tool.ts";

const MAX_BYTES = 2 * 1024 * 1024;
const MAX_MS = 20_000;
/** Characters of one result. */
const MAX_CHARACTERS = 50_000;

const HTML = /^(text\/html|application\/xhtml\+xml)$/;
const TEXT = /^(text\/.*|application\/(.*\+)?(json|xml|yaml|javascript|x-yaml|x-ndjson|toml|sql))$/;

export const webFetch = defineTool({
  definition: {
    name: "WebFetch",
    description:
      "Loads a URL and returns its text: HTML as Markdown, other text as it is, images and PDFs to look at.",
    input_schema: {
      type: "object",
      properties: {
        url: { type: "string" },
        prompt: { type: "string", description: "what you look for" },
      },
      required: ["url"],
    },
  },
  kind: "once",
  access: "network",
  input: v.object({ url: v.pipe(v.string(), v.minLength(1)), prompt: v.nullish(v.string()) }),
  run: async ({ url }, context) => {
    const answer = await context.request(url, {
      headers: {
        accept: "text/markdown, text/html;q=0.9, text/*;q=0.8, */*;q=0.5",
        "user-agent": "Ledge",
      },
      maxBytes: MAX_BYTES,
      timeoutMs: MAX_MS,
      redirect: "same-host",
      secure: true,
      signal: context.signal,
    });
    if (!answer.ok) return errorResult(`${answer.message}: ${url}`);
    const moved = redirected(answer);
    return moved ?? shown(answer, context);
  },
});

/** A rule may allow one host and not the other, so the model has to ask for that one. */
function redirected({ status, headers, url }: GuardedResponse): ToolResult | null {
  const location = headers.get("location");
  if (status < 300 || status >= 400 || location === null) return null;
  const target = URL.parse(location, url)?.href ?? location;
  return result(
    `REDIRECT DETECTED: The URL redirects to a different host.\n\nOriginal URL: ${url}\nRedirect URL: ${target}\nStatus: ${status}\n\nUse WebFetch again with the redirect URL to load it.`,
    false,
  );
}

async function shown(answer: GuardedResponse, context: ToolContext): Promise<ToolResult> {
  const { status, statusText, headers, url, bytes } = answer;
  const head = `URL: ${url}\nStatus: ${`${status} ${statusText}`.trim()}`;
  const failed = status >= 400;
  const [type = "", ...parameters] = (headers.get("content-type") ?? "")
    .split(";")
    .map((part) => part.trim().toLowerCase());
  const media = mediaTypeOf(bytes);
  if (media && !TEXT.test(type)) {
    const most = mostBytes(media);
    if (bytes.length > most) {
      return errorResult(
        `${head}\n\nThe content has ${bytes.length} bytes and can be shown up to ${most}.`,
      );
    }
    const { content } = mediaBlock(context, bytes, media);
    return { content: [{ type: "text", text: head }, ...content], is_error: failed };
  }
  // A server that names no type may send text all the same.
  const text = TEXT.test(type) || type === "" ? decoded(bytes, charsetOf(parameters, bytes)) : null;
  if (text === null || (type === "" && text.includes("\0"))) {
    return errorResult(
      `${head}\n\nThe content is ${type || "of no known type"} (${bytes.length} bytes), which cannot be shown as text. In Bash, curl -o saves it to a file.`,
    );
  }
  const readable = HTML.test(type) ? await textOfHtml(text, url) : text;
  const page = readable === "" ? "(The page has no text.)" : readable;
  return result(shortened(context, `${head}\n\n${page}`, MAX_CHARACTERS), failed);
}

const result = (text: string, is_error: boolean): ToolResult => ({
  content: [{ type: "text", text }],
  is_error,
});

/** The encoding that the header names, or the page itself. */
function charsetOf(parameters: readonly string[], bytes: Uint8Array): string {
  const named = parameters.find((part) => part.startsWith("charset="))?.slice(8);
  const start = String.fromCharCode(...bytes.subarray(0, 1_024));
  const inPage = /<meta[^>]+charset=["']?([A-Za-z0-9_-]+)/i.exec(start)?.[1];
  return (named ?? inPage ?? "utf-8").replace(/["']/g, "");
}

/** Bytes that are no text in their encoding are marked, as browsers do; null for no text at all. */
function decoded(bytes: Uint8Array, charset: string): string | null {
  try {
    return new TextDecoder(charset).decode(bytes);
  } catch {
    // An encoding that nobody knows.
    return textOf(bytes);
  }
}
