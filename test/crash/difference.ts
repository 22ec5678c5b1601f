/** The first place in which two values of plain data differ, with what stands there; null if none does. */
export function difference(is: unknown, should: unknown, path = ""): string | null {
  if (isObject(is) && isObject(should)) {
    for (const key of new Set([...Object.keys(should), ...Object.keys(is)])) {
      const found = difference(is[key], should[key], `${path}.${key}`);
      if (found) return found;
    }
    return null;
  }
  if (is === should) return null;
  return `${path} is ${short(is)} and was ${short(should)}`;
}

// Arrays have their indices as keys.
const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null;

function short(value: unknown): string {
  const text = JSON.stringify(value) ?? "missing";
  return text.length > 300 ? `${text.slice(0, 300)}…` : text;
}
