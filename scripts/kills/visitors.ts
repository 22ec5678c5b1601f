/** Clients that do not stay: one that posts and leaves, and one that deletes what it has made. */
import { bodyOf, type Chat, createCall, createChat, keyOf } from "./chat.ts";
import { follow, judge } from "./clients.ts";
import { pause, type World } from "./world.ts";

/** Longest pause between two visits, and longest life of a session that is to be deleted. */
const VISIT_MS = 1_500;

/** Creates sessions, posts a message or two into each, and never asks for them again. */
export async function leave(world: World, name: string, chats: Chat[]): Promise<void> {
  const random = world.random(name);
  for (let i = 1; !world.stopping; i++) {
    const chat = await createChat(world, `${name}x${i}`);
    chats.push(chat);
    for (let n = 0; n < random.between(1, 2); n++) {
      const post = chat.post(world, "leaver");
      post.task.shape = random.pick({ slow: 6, thinking: 2, overloaded: 1, tools: 1 });
      const answer = await world.ask(chat.label, `${chat.path}/turns`, {
        method: "POST",
        key: keyOf(post),
        body: bodyOf(post),
        headers: { prefer: "wait=0" },
      });
      judge(world, post, answer);
    }
    await pause(random.between(VISIT_MS / 5, VISIT_MS));
  }
}

/** Creates sessions and deletes them while they work. */
export async function churn(world: World, name: string, chats: Chat[]): Promise<void> {
  const random = world.random(name);
  for (let i = 1; !world.stopping; i++) {
    const chat = await createChat(world, `${name}x${i}`);
    chats.push(chat);
    const following = follow(world, chat, "follower");
    const posting = random.chance(0.7) ? postUntilDeleted(world, chat) : null;
    await pause(random.between(0, VISIT_MS));
    await remove(world, chat);
    await posting;
    await following;
  }
}

async function postUntilDeleted(world: World, chat: Chat): Promise<void> {
  while (!chat.deleting) {
    const post = chat.post(world, "churner");
    const answer = await world.ask(chat.label, `${chat.path}/turns`, {
      method: "POST",
      key: keyOf(post),
      body: bodyOf(post),
    });
    // What a deletion makes of a message that waits for its answer.
    if (!chat.deleting) judge(world, post, answer);
  }
}

async function remove(world: World, chat: Chat): Promise<void> {
  chat.deleting = true;
  const { status } = await world.ask(chat.label, chat.path, { method: "DELETE" });
  // 404 when an answer before was lost with the server.
  if (status !== 200 && status !== 404) {
    world.problem(`deleting ${chat.label} was answered ${status}`);
  }
  chat.deleted = true;
  await checkDeleted(world, chat);
}

/** A deleted session is not found, and not made again by its key. */
export async function checkDeleted(world: World, chat: Chat): Promise<void> {
  const post = { method: "POST" as const, body: { input: "Are you there?" } };
  const answers = [
    await world.ask(chat.label, chat.path),
    await world.ask(chat.label, `${chat.path}/events`),
    await world.ask(chat.label, `${chat.path}/turns`, post),
  ];
  const created = await world.ask(chat.label, "/api/sessions", createCall(chat.label));
  const statuses = answers.map(({ status }) => status).join();
  if (statuses !== "404,404,404" || created.body.error?.code !== "session_deleted") {
    const { status, body } = created;
    world.problem(
      `${chat.label} is deleted, and answered ${statuses}; creating it again: ${status} ${body.id}`,
    );
  }
}
