/** A time in the form that claude-code-api's clients know: microseconds, and `+00:00`. */
export const offsetTime = (at: number): string =>
  new Date(at).toISOString().replace("Z", "000+00:00");
