/** The same for the routes of the Claude CLI server. */
import { idOf } from "../api/cc/server.ts";
import { type Case, failing, type Ready, talking } from "./duplicates-cases.ts";

const inside =
  (more: object = {}) =>
  ({ session }: Ready) => ({ prompt: "Hi", session_id: idOf(session), ...more });

const BOTH: Case[] = [
  {
    name: "in a session",
    ready: talking,
    body: inside(),
    wrote: { input: 1, outcome: 1 },
    replayed: true,
  },
  {
    name: "with another system prompt and a folder",
    ready: talking,
    body: inside({ system_prompt: "Be brief.", cwd: "d" }),
    wrote: { "session.updated": 0, input: 1, outcome: 1 },
    replayed: true,
    files: {},
  },
  {
    name: "that fails",
    ready: failing,
    body: inside(),
    wrote: { input: 1, outcome: 1, failure: 1 },
    replayed: true,
  },
];

export const CHAT_CASES: Record<string, Case[]> = {
  "POST /v1/chat": BOTH,
  "POST /v1/chat/stream": BOTH,
};
