/** All routes of CC API, the native surface. */
import type { Hono } from "hono";
import { authentication } from "../../http/auth.ts";
import type { HttpEnv } from "../../http/context.ts";
import { about, health } from "./about.ts";
import { postCompact } from "./compact.ts";
import { getPending, postConfirmations } from "./confirmations.ts";
import { getContext } from "./context.ts";
import { getEvents, streamSession } from "./events.ts";
import { getExport } from "./export.ts";
import { cloneGit, deleteFile, listFiles, makeDirectory, moveFile } from "./files.ts";
import { getFile } from "./files-download.ts";
import { postFiles, putFile } from "./files-upload.ts";
import { getZip, postZip } from "./files-zip.ts";
import { postInterrupt } from "./interrupt.ts";
import { getMedia } from "./media.ts";
import { getModels } from "./models.ts";
import { cancelQueued, getQueue } from "./queue.ts";
import { searchSession } from "./search.ts";
import {
  createSession,
  deleteSession,
  getSession,
  listSessions,
  updateSession,
} from "./sessions.ts";
import { postStreamTicket, ticketOrKey } from "./tickets.ts";
import { getTurn, listTurns, postToolResults, postTurn } from "./turns.ts";
import { getUsage } from "./usage.ts";

/** Adds the surface to `app`. What stands before `authentication()` can be reached without a key. */
export function addCcRoutes(app: Hono<HttpEnv>): void {
  app.get("/", about);
  app.get("/healthz", health);
  app.get("/api/sessions/:id/events/stream", ticketOrKey(), streamSession);

  app.use("/api/*", authentication());
  app.get("/api/models", getModels);
  app.get("/api/usage", getUsage);
  app.get("/api/sessions", listSessions);
  app.post("/api/sessions", createSession);
  app.get("/api/sessions/:id", getSession);
  app.patch("/api/sessions/:id", updateSession);
  app.delete("/api/sessions/:id", deleteSession);
  app.post("/api/sessions/:id/interrupt", postInterrupt);
  app.post("/api/sessions/:id/compact", postCompact);
  app.get("/api/sessions/:id/search", searchSession);
  app.get("/api/sessions/:id/context", getContext);
  app.get("/api/sessions/:id/events", getEvents);
  app.post("/api/sessions/:id/turns", postTurn);
  app.get("/api/sessions/:id/turns", listTurns);
  app.get("/api/sessions/:id/turns/:turn", getTurn);
  app.post("/api/sessions/:id/tool-results", postToolResults);
  app.get("/api/sessions/:id/pending", getPending);
  app.post("/api/sessions/:id/confirmations", postConfirmations);
  app.get("/api/sessions/:id/queue", getQueue);
  app.delete("/api/sessions/:id/queue/:input", cancelQueued);
  app.post("/api/sessions/:id/stream-ticket", postStreamTicket);
  app.get("/api/sessions/:id/export", getExport);
  app.get("/api/sessions/:id/media/:sha256", getMedia);
  app.get("/api/sessions/:id/files", listFiles);
  app.post("/api/sessions/:id/files", postFiles);
  app.get("/api/sessions/:id/files.zip", getZip);
  app.post("/api/sessions/:id/files/zip", postZip);
  app.post("/api/sessions/:id/files/move", moveFile);
  app.post("/api/sessions/:id/files/directories", makeDirectory);
  app.post("/api/sessions/:id/files/git", cloneGit);
  app.get("/api/sessions/:id/files/*", getFile);
  app.put("/api/sessions/:id/files/*", putFile);
  app.delete("/api/sessions/:id/files/*", deleteFile);
}
