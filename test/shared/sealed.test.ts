/** What is sealed opens in its own place, under its own key, and only if nothing was changed. */
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  fingerprint,
  type Keyring,
  open,
  type SealContext,
  seal,
  sealingKey,
  sealUnder,
} from "../../src/shared/sealed.ts";

const bytes = (length: number) =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((data) => new Uint8Array(data));
const rawKey = bytes(32);
const context: fc.Arbitrary<SealContext> = fc.record({
  owner: fc.string({ maxLength: 60 }),
  purpose: fc.string({ maxLength: 30 }),
});
const text = fc.string({ unit: "grapheme", maxLength: 200 });

const under = (raw: Uint8Array<ArrayBuffer>, ...old: Uint8Array<ArrayBuffer>[]): Keyring => ({
  current: raw,
  old,
});

test("what was sealed opens again, and does not hold the text in clear", () =>
  fc.assert(
    fc.asyncProperty(rawKey, context, text, async (raw, where, secret) => {
      const sealed = await seal(under(raw), where, secret);
      expect(await open(under(raw), where, sealed)).toEqual({
        ok: true,
        text: secret,
        stale: false,
      });
      if (secret.length > 8) expect(sealed).not.toContain(secret);
      expect(await seal(under(raw), where, secret)).not.toBe(sealed);
    }),
  ));

test("a known key, nonce and place give a known form", async () => {
  const key = await sealingKey(new Uint8Array(32).fill(7));
  const where = { owner: "acct_1/01X", purpose: "anthropic-key" };
  const sealed = await sealUnder(key, where, "sk-ant-1", new Uint8Array(12).fill(9));
  // Made with another implementation of AES-256-GCM.
  expect(sealed).toBe("v1.dcbfa579.CQkJCQkJCQkJCQkJVO6p9dCE7FD-kMqDgIeun9P8T8Kl03QR");
});

test("any change of one character keeps it shut", () =>
  fc.assert(
    fc.asyncProperty(
      rawKey,
      context,
      text,
      fc.nat(),
      fc.constantFrom(..."ABCxyz019-_.v=+/ \n"),
      async (raw, where, secret, place, other) => {
        const sealed = await seal(under(raw), where, secret);
        const at = place % sealed.length;
        fc.pre(sealed[at] !== other);
        const changed = sealed.slice(0, at) + other + sealed.slice(at + 1);
        expect(await open(under(raw), where, changed)).toEqual({ ok: false });
        expect(await open(under(raw), where, sealed.slice(0, at))).toEqual({ ok: false });
      },
    ),
  ));

test("another spelling of the same bytes keeps it shut", async () => {
  const raw = new Uint8Array(32).fill(7);
  const where = { owner: "acct_1", purpose: "anthropic-key" };
  const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  // Of three lengths in a row, two leave bits of the last digit unused.
  for (const secret of ["", "a", "ab"]) {
    const sealed = await seal(under(raw), where, secret);
    const others = [...digits].filter((digit) => digit !== sealed.at(-1));
    for (const digit of [...others, "="]) {
      const spelled = sealed.slice(0, digit === "=" ? undefined : -1) + digit;
      expect(await open(under(raw), where, spelled)).toEqual({ ok: false });
    }
  }
});

test("any flipped bit of its bytes keeps it shut", () =>
  fc.assert(
    fc.asyncProperty(rawKey, context, text, fc.nat(), async (raw, where, secret, place) => {
      const [version, id, data = ""] = (await seal(under(raw), where, secret)).split(".");
      const whole = Uint8Array.fromBase64(data, { alphabet: "base64url" });
      const bit = place % (whole.length * 8);
      whole[bit >> 3] = (whole[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      const flipped = whole.toBase64({ alphabet: "base64url", omitPadding: true });
      expect(await open(under(raw), where, `${version}.${id}.${flipped}`)).toEqual({ ok: false });
    }),
  ));

test("it does not open for another owner or purpose", () =>
  fc.assert(
    fc.asyncProperty(rawKey, context, context, text, async (raw, where, elsewhere, secret) => {
      fc.pre(where.owner !== elsewhere.owner || where.purpose !== elsewhere.purpose);
      const sealed = await seal(under(raw), where, secret);
      expect(await open(under(raw), elsewhere, sealed)).toEqual({ ok: false });
      // Nor does the line between the two move.
      const joined = { owner: where.owner + where.purpose, purpose: "" };
      fc.pre(where.purpose !== "");
      expect(await open(under(raw), joined, sealed)).toEqual({ ok: false });
    }),
  ));

test("after a rotation it opens and is to be sealed anew; without its key it stays shut", () =>
  fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(rawKey, { minLength: 3, maxLength: 3, selector: String }),
      context,
      text,
      async ([first, second, third], where, secret) => {
        if (!first || !second || !third) throw new Error("three keys");
        const sealed = await seal(under(first), where, secret);
        const rotated = under(third, second, first);
        const opened = await open(rotated, where, sealed);
        expect(opened).toEqual({ ok: true, text: secret, stale: true });
        expect(await open(under(third, second), where, sealed)).toEqual({ ok: false });
        const anew = await seal(rotated, where, secret);
        expect(await open(under(third), where, anew)).toMatchObject({ text: secret, stale: false });
        // The name of another key does not make it that key's.
        const other = (await sealingKey(second)).id;
        const renamed = sealed.replace(/\.[0-9a-f]{8}\./, `.${other}.`);
        expect(await open(rotated, where, renamed)).toEqual({ ok: false });
      },
    ),
  ));

test("a fingerprint is the same for the same secret, and another under another key", () =>
  fc.assert(
    fc.asyncProperty(rawKey, rawKey, text, text, async (raw, other, secret, another) => {
      fc.pre(secret !== another && String(raw) !== String(other));
      const print = await fingerprint(under(raw), secret);
      expect(print).toMatch(/^[0-9a-f]{64}$/);
      expect(await fingerprint(under(raw), secret)).toBe(print);
      expect(await fingerprint(under(raw), another)).not.toBe(print);
      expect(await fingerprint(under(other), secret)).not.toBe(print);
    }),
  ));
