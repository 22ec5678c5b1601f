/** The part of the demo that shows the agent at work: tools, permissions, a shell and files. */
import type { Client, Frame } from "./client.ts";
import { check, lastText, note, say, showText, title } from "./demo-output.ts";
import { Reader } from "./reader.ts";

/** It may change files; for everything else somebody is asked. */
const PERMISSIONS = { mode: "acceptEdits" };
const PROGRAM = "#!/bin/bash\necho hello\n";
const SLOW = 'for i in 1 2 3; do echo "step $i"; sleep 0.3; done';

interface Question {
  id: string;
  name: string;
  arguments: string;
}

export async function agent(client: Client): Promise<void> {
  title("Another session: an agent with files, a shell and permissions");
  const { id } = await client.createSession({ permissions: PERMISSIONS });
  const path = `/api/sessions/${id}`;
  const reader = new Reader();

  const task = "Write hello.sh that prints hello, then run it and show me hello.sh";
  say(task);
  await watch(reader, client.streamTurn(id, { input: task }));
  const { data: questions } = await get<{ data: Question[] }>(client, `${path}/pending`);
  const [question] = questions;
  if (!question) throw new Error("nobody was asked");
  check(question.name === "Bash", `it asks before it runs ${question.arguments}`);
  const file = await get<string>(client, `${path}/files/hello.sh`);
  check(file === PROGRAM, "hello.sh is there, as any client can download it");

  note("the question stays until it is answered, from any device");
  say("[allow]");
  const confirmations = [{ tool_call_id: question.id, decision: "allow" }];
  const answer = client.frames(`${path}/confirmations`, { confirmations, stream: true });
  await watch(reader, answer);
  showText(reader);
  check(lastText(reader).includes("gave:\nhello\n"), "it ran, and the turn went on to its end");

  const slow = `Run \`${SLOW}\``;
  say(slow);
  const permissions = { mode: "bypassPermissions" };
  await watch(reader, client.streamTurn(id, { input: slow, permissions }));
  const outputs = reader.frames.filter(({ event }) => event === "tool.output").map(textOf);
  check(outputs.slice(-3).join("") === "step 1\nstep 2\nstep 3\n", "its output came line by line");

  await watch(reader, client.streamTurn(id, { input: ask("What files are there?") }));
  showText(reader);
  const { data: files } = await get<{ data: { path: string }[] }>(client, `${path}/files`);
  const names = files.map((one) => one.path).join();
  check(names === "hello.sh" && lastText(reader).includes("- hello.sh"), `they are ${names}`);
}

function ask(input: string): string {
  say(input);
  return input;
}

/** Reads to the end of the response and shows what the tools do. */
async function watch(reader: Reader, stream: AsyncGenerator<Frame>): Promise<void> {
  await reader.visit(shown(stream), "done");
}

async function* shown(stream: AsyncGenerator<Frame>): AsyncGenerator<Frame> {
  for await (const frame of stream) {
    const { data } = frame.data;
    if (frame.event === "tool.requested") note(`${data?.name} ${data?.arguments}`);
    if (frame.event === "tool.output") note(`  ${textOf(frame).trimEnd()}`);
    if (frame.event === "tool.completed") note(`  ${data?.status}`);
    yield frame;
  }
}

const textOf = ({ data }: Frame): string => String(data.data?.text ?? "");

async function get<T>({ url }: Client, path: string): Promise<T> {
  const response = await fetch(`${url}${path}`);
  if (!response.ok) throw new Error(`${response.status} ${path}`);
  const text = await response.text();
  const isJson = response.headers.get("content-type")?.startsWith("application/json");
  // The caller names what this route answers with.
  return (isJson ? JSON.parse(text) : text) as T;
}
