/** The tree of a parsed script, and a way through all of it. Pure. */
import type { BashTransformResult } from "just-bash";

export type Script = BashTransformResult["ast"];
export type Statement = Script["statements"][number];
export type Pipeline = Statement["pipelines"][number];
export type Command = Pipeline["commands"][number];
export type Redirection = Extract<Command, { type: "SimpleCommand" }>["redirections"][number];
type Compound = Extract<Command, { type: "FunctionDef" }>["body"];

/** The script with each of its commands changed, those inside of others first. */
export function withCommands(script: Script, change: (command: Command) => Command): Script {
  const body = (statements: Statement[]): Statement[] =>
    statements.map((statement) => ({
      ...statement,
      pipelines: statement.pipelines.map((pipeline) => ({
        ...pipeline,
        commands: pipeline.commands.map((command) => change(inside(command))),
      })),
    }));
  const inside = (command: Command): Command =>
    command.type === "FunctionDef"
      ? // What is called again with another type stays of its own.
        { ...command, body: withBodies(command.body, body) as Compound }
      : withBodies(command, body);
  return { ...script, statements: body(script.statements) };
}

/** A command with each list of statements in it changed. */
export function withBodies(
  command: Command,
  change: (statements: Statement[]) => Statement[],
): Command {
  switch (command.type) {
    case "If":
      return {
        ...command,
        clauses: command.clauses.map((clause) => ({
          condition: change(clause.condition),
          body: change(clause.body),
        })),
        elseBody: command.elseBody && change(command.elseBody),
      };
    case "While":
    case "Until":
      return { ...command, condition: change(command.condition), body: change(command.body) };
    case "For":
    case "CStyleFor":
    case "Subshell":
    case "Group":
      return { ...command, body: change(command.body) };
    case "Case": {
      const items = command.items.map((item) => ({ ...item, body: change(item.body) }));
      return { ...command, items };
    }
    default:
      return command;
  }
}

/** The name of a simple command, when it is written out. */
export function literalName(command: Command): string | null {
  if (command.type !== "SimpleCommand" || command.name === null) return null;
  const [part, ...others] = command.name.parts;
  return others.length === 0 && part?.type === "Literal" ? part.value : null;
}

/** `fd operator target`; the target is a path or the number of a descriptor. */
export const redirection = (
  fd: number,
  operator: Redirection["operator"],
  target: string,
): Redirection => ({
  type: "Redirection",
  fd,
  operator,
  target: { type: "Word", parts: [{ type: "Literal", value: target }] },
});
