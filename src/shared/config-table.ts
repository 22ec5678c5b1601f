/** What one variable of the configuration is. */

/** `read` gives null for a value that breaks `rule`. */
export interface Variable<T> {
  readonly meaning: string;
  /** What a valid value is, as a clause that follows "must be". */
  readonly rule: string;
  /** The value where none is set; null when there is no default. */
  readonly fallback: T | null;
  /** A secret's value is never shown, only its name. */
  readonly secret: boolean;
  readonly read: (text: string) => T | null;
  /** What is wrong with a value that has several ways to be so, where that can be said. */
  readonly fault?: (text: string) => string | null;
}

/** Gives the object the type of its parts and checks each against `Variable`. */
export const table = <T extends Record<string, Variable<unknown>>>(variables: T): T => variables;
