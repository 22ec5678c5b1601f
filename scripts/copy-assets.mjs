/**
 * Runs after `npm install`: copies what the pages of documentation need from the installed Swagger UI
 * to where Wrangler serves static files, so that they load from this server and nothing of another
 * site. Plain JavaScript, as `run.mjs` is.
 */
import { copyFileSync, mkdirSync, rmSync } from "node:fs";

const FILES = ["swagger-ui-bundle.js", "swagger-ui.css", "LICENSE", "NOTICE"];

const from = new URL("../node_modules/swagger-ui-dist/", import.meta.url);
const to = new URL("../assets/docs/swagger-ui/", import.meta.url);
rmSync(to, { recursive: true, force: true });
mkdirSync(to, { recursive: true });
for (const name of FILES) copyFileSync(new URL(name, from), new URL(name, to));
