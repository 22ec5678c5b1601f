/** A session whose storage is nearly full: it takes nothing new, and what it has stays of use. */
import { expect, test } from "vitest";
import { text } from "../../src/standin/replies.ts";
import { held, reached, refusalOf, type TestSession, useSessions } from "../support/sessions.ts";

const sessions = useSessions();

/** Lets the object believe that its database has this size. */
const sized = (session: TestSession, bytes: number): Promise<unknown> =>
  session.inside((state) =>
    Object.defineProperty(state.storage.sql, "databaseSize", { configurable: true, value: bytes }),
  );

test("messages are refused, and what runs comes to its end", async () => {
  const session = await sessions.create();
  const { reply, gate } = held({ block: 0, delta: 1 }, [text("Hello there")]);
  sessions.script(reply);
  const sent = await session.send("one");
  await reached(gate);
  await sized(session, 9_600_000_000);
  expect(refusalOf(await session.trySend("two"))).toBe("session_full");
  await session.open(gate);
  expect(await session.outcome(sent)).toMatchObject({ outcome: "completed" });
  expect(refusalOf(await session.trySend("three"))).toBe("session_full");
});

test("it can be stopped, renamed, read and deleted", async () => {
  const session = await sessions.create();
  const { reply, gate } = held({ block: 0, delta: 1 }, [text("Hello there")]);
  sessions.script(reply);
  const sent = await session.send("one");
  await reached(gate);
  await sized(session, 9_600_000_000);
  await session.interrupt();
  expect(await session.outcome(sent)).toMatchObject({ outcome: "interrupted" });
  await session.submit({ kind: "update", config: { title: "full" } });
  expect((await session.stub.describe())?.session.title).toBe("full");
  await session.reader.detach();
  expect(await session.stub.remove("01HFULL")).toBe(true);
});

test("a write that fails in the middle leaves no row of its group", async () => {
  const session = await sessions.create();
  sessions.script(text("Hello"));
  await session.turn("one");
  const before = await session.rows();
  await session.inside((state) => {
    const exec = state.storage.sql.exec.bind(state.storage.sql);
    let inserts = 0;
    Object.defineProperty(state.storage.sql, "exec", {
      configurable: true,
      value: (query: string, ...values: SqlStorageValue[]) => {
        if (query.startsWith("INSERT INTO log")) inserts += 1;
        // The first row of the message goes in, the turn's entry does not.
        if (inserts > 0 && query.startsWith("INSERT INTO turn")) {
          throw new Error("database or disk is full: SQLITE_FULL");
        }
        return exec(query, ...values);
      },
    });
  });
  expect(await session.trySend("two").catch(String)).toContain("full");
  expect(await session.rows()).toEqual(before);
  await session.inside((state) => Reflect.deleteProperty(state.storage.sql, "exec"));
  sessions.script(text("Hello again"));
  expect(await session.turn("two")).toMatchObject({ outcome: "completed" });
});
