/** The description of all surfaces. */
import { version } from "../../../package.json";
import { openApiDocument } from "../../http/openapi/document.ts";
import type { Surface } from "../../http/openapi/operation.ts";
import type { JsonObject } from "../../shared/content.ts";
import { ccSurface } from "../cc/operations/index.ts";
import { chatSurface } from "../chat/operations.ts";
import { codeSurface } from "../code/operations/index.ts";

const ABOUT = `A durable Claude session API. Send a key as \`Authorization: Bearer\` or \`X-API-Key\`; on the machine itself a server without keys answers without one.

Times are ISO 8601 in UTC, money is in US dollars. Every answer has an \`X-Request-Id\`. Clients should ignore fields and events that they do not know.`;

export const surfaces = (): Promise<readonly Surface[]> =>
  Promise.all([ccSurface(), codeSurface(), chatSurface()]);

/** As `/openapi.json` shows it. */
export const document = async (): Promise<JsonObject> =>
  openApiDocument({ title: "Ledge", version, description: ABOUT }, await surfaces());
