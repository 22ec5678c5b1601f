/** The same of templates, and of claude-code-api. */
import type { JsonObject } from "../../src/shared/content.ts";
import { post, send } from "../api/cc/server.ts";
import { codePath, type Limit, times, x } from "./limits-cases.ts";

const template = (body: JsonObject) => send("PUT", "/api/templates/limits", body);
/** Bodies of claude-code-api that are refused anyway, since nothing is to come of them. */
const project = (body: JsonObject) => post("/api/v1/sessions", { name: "x", no: 1, ...body });
const chat = (body: JsonObject) => post(`${codePath()}/chat`, { message: "x", no: 1, ...body });
const job = (body: JsonObject) => post(`${codePath()}/jobs`, { message: "x", no: 1, ...body });
/** Each is two units of UTF-16, and one character. */
const wide = (n: number): string => "😀".repeat(n);
const form = (file: string) =>
  `--x\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n${file}\r\n--x--\r\n`;
const upload = (n: number) =>
  post(`${codePath()}/files`, form(x(n)), { "content-type": "multipart/form-data; boundary=x" });

export const CODE_LIMITS: readonly Limit[] = [
  {
    what: "the name of a template",
    most: 64,
    unit: "characters",
    send: (n) => send("PUT", `/api/templates/${x(n)}`, {}),
    refused: "path -> name",
  },
  {
    what: "`description` of a template",
    most: 500,
    unit: "characters",
    send: (n) => template({ description: x(n) }),
    refused: "body -> description",
  },
  {
    what: "`system_prompt` of a template",
    most: 50_000,
    unit: "characters",
    send: (n) => template({ system_prompt: wide(n) }),
    refused: "body -> system_prompt",
  },
  {
    what: "`max_turns` of a template",
    most: 1_000,
    send: (n) => template({ max_turns: n }),
    refused: "body -> max_turns",
  },
  {
    what: "rules in a list of a template",
    most: 200,
    send: (n) => template({ allowed_tools: times(n, (i) => `Read(a${i})`).join(",") }),
    refused: "body -> allowed_tools",
  },
  {
    what: "templates of an account, or of a file of them",
    most: 100,
    send: (n) =>
      post(
        "/api/templates/import",
        Object.fromEntries(times(n, (i) => [`t${i}`, { description: "x" }])),
      ),
    refused: "too_many_templates",
  },
  {
    what: "`/api/v1`: `name` of a session",
    most: 128,
    unit: "characters",
    send: (n) => project({ name: wide(n) }),
    refused: "body -> name",
  },
  {
    what: "`/api/v1`: `user_id` of a session",
    most: 128,
    unit: "characters",
    send: (n) => project({ user_id: wide(n) }),
    refused: "body -> user_id",
  },
  {
    what: "`/api/v1`: `system_prompt` of a session",
    most: 50_000,
    unit: "characters",
    send: (n) => project({ system_prompt: wide(n) }),
    refused: "body -> system_prompt",
  },
  {
    what: "`/api/v1`: `max_turns` of a session",
    most: 100,
    send: (n) => project({ max_turns: n }),
    refused: "body -> max_turns",
  },
  ...(["template", "permission_mode", "effort", "allowed_tools", "disallowed_tools"] as const).map(
    (field): Limit => ({
      what: `\`/api/v1\`: \`${field}\` of a session`,
      most: 20_000,
      unit: "characters",
      send: (n) => project({ [field]: wide(n) }),
      refused: `body -> ${field}`,
    }),
  ),
  {
    what: "`/api/v1`: rules in `allowed_tools`, and in `disallowed_tools`",
    most: 200,
    // What is wrong with a rule is found out last.
    send: (n) =>
      post("/api/v1/sessions", {
        name: "x",
        allowed_tools: times(n, (i) => `Read(a${i})`).join(","),
      }),
    refused: "body -> allowed_tools",
  },
  {
    what: "`/api/v1`: `message`",
    most: 1_000_000,
    unit: "characters",
    send: (n) => chat({ message: wide(n) }),
    refused: "body -> message",
  },
  {
    what: "`/api/v1`: `model`",
    most: 100,
    unit: "characters",
    send: (n) => chat({ model: wide(n) }),
    refused: "body -> model",
  },
  {
    what: "`/api/v1`: `system` of a message",
    most: 50_000,
    unit: "characters",
    send: (n) => chat({ system: wide(n) }),
    refused: "body -> system",
  },
  {
    what: "`/api/v1`: `effort`, and `permission_mode`, of a message",
    most: 20_000,
    unit: "characters",
    send: (n) => chat({ effort: wide(n), permission_mode: wide(n) }),
    refused: "body -> effort",
  },
  {
    what: "`/api/v1`: `webhook_url` of a job",
    most: 2_048,
    unit: "characters",
    send: (n) => job({ webhook_url: `https://hooks.example.com/${x(n - 26)}` }),
    refused: "body -> webhook_url",
  },
  {
    what: "`/api/v1`: `working_dir`",
    most: 1_024,
    unit: "characters",
    send: (n) => post(`${codePath()}/repo`, { working_dir: wide(n), no: 1 }),
    refused: "body -> working_dir",
  },
  {
    what: "`/api/v1`: a file of an upload",
    most: 10_485_760,
    unit: "bytes",
    send: upload,
    refused: "file_too_large",
  },
  {
    what: "`/api/v1`: `text` of `tokens/count`",
    most: 1_000_000,
    unit: "characters",
    send: (n) => post("/api/v1/tokens/count", { text: wide(n) }),
    refused: "body -> text",
  },
];
