import { describe, expect, test } from "vitest";
import { keyHiding } from "../../src/model/key-hiding.ts";

const KEY = 'gw.key+(0)/"secret"\\1';
const hide = keyHiding(KEY);

test("a key is hidden wherever it stands in a text, in any case", () => {
  expect(hide.inText(`${KEY} and ${KEY.toUpperCase()}`)).toBe("[key] and [key]");
  expect(hide.inText("gw.key")).toBe("gw.key");
  expect(hide.has(`id-${KEY.toLowerCase()}`)).toBe(true);
  expect(hide.has("req_011CSHoEeqs5C35K2UUqR7Fy")).toBe(false);
});

test("it is hidden in the JSON of an event, which stays JSON", () => {
  const event = { type: "text_delta", text: `You sent ${KEY}.` };
  expect(JSON.parse(hide.inAnswer(JSON.stringify(event)))).toEqual({
    type: "text_delta",
    text: "You sent [key].",
  });
});

describe("what could be a word", () => {
  test("is not taken for a key in an answer", () => {
    expect(keyHiding("stand-in").inAnswer('"a stand-in"')).toBe('"a stand-in"');
    expect(keyHiding("stand-in").inText("a stand-in")).toBe("a [key]");
  });

  test("is not taken for one anywhere when it is shorter still", () => {
    expect(keyHiding("key").inText("no key")).toBe("no key");
    expect(keyHiding("key").has("key")).toBe(false);
  });
});
