/** `npm run readme`: writes the tables of variables into the README. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { withTables } from "./readme-tables.ts";
import { ROOT } from "./server.ts";

const path = join(ROOT, "README.md");
writeFileSync(path, withTables(readFileSync(path, "utf8")));
