/** What tests of deleted sessions ask with, and what may be left of one. */
import { runInDurableObject } from "cloudflare:test";
import { objectOf } from "../api/cc/server.ts";

/** A session's path under claude-code-api. */
export const codeOf = (session: string): string => session.replace("/api/", "/api/v1/");

/** A form with a file, and the headers that say so. */
export const FORM =
  '--B\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\nx\r\n--B--\r\n';
export const FORM_TYPE = { "content-type": "multipart/form-data; boundary=B" };

/** What the object of a session has on disk, and when it will wake. */
export async function left(session: string) {
  return runInDurableObject(await objectOf(session), async (_, { storage }) => ({
    tables: storage.sql
      .exec<{ name: string }>(
        "SELECT name FROM sqlite_master WHERE name NOT LIKE '\\_%' ESCAPE '\\'",
      )
      .toArray()
      .map(({ name }) => name),
    alarm: await storage.getAlarm(),
  }));
}

export const NOTHING = { tables: [], alarm: null };
