const LETTERS = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
const LENGTH = 22;

/** `prefix` and 24 random characters, for example `msg_01…`: unique also after a restart. */
export function randomId(prefix: string): string {
  const bytes = crypto.getRandomValues(new Uint8Array(LENGTH));
  let id = `${prefix}01`;
  for (const byte of bytes) id += LETTERS.charAt(byte % LETTERS.length);
  return id;
}
