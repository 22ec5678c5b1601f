/** What the built-in tools may do, as clients write it. */
import * as v from "valibot";
import { isRule, type Permissions } from "../../shared/tools.ts";

const MAX_RULES = 200;

const Rule = v.pipe(
  v.string(),
  v.check(isRule, "A rule is Tool or Tool(pattern), such as Bash(git *) or Edit(src/**)"),
);

const Rules = v.nullish(v.pipe(v.array(Rule), v.maxLength(MAX_RULES)), []);

/** Lists that are left out are empty. */
export const PermissionsField = v.object({
  mode: v.nullish(
    v.picklist(["default", "acceptEdits", "plan", "bypassPermissions", "dontAsk"]),
    "bypassPermissions",
  ),
  allow: Rules,
  ask: Rules,
  deny: Rules,
}) satisfies v.GenericSchema<unknown, Permissions>;
