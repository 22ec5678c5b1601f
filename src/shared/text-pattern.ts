/** Finds a text itself, in upper and lower case alike: nothing in it has a meaning of its own. */
export const textPattern = (text: string): RegExp =>
  new RegExp(text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&"), "iu");
