declare module "*?raw" {
  const text: string;
  export default text;
}

interface ImportMeta {
  /** Vite's: the files that fit, each read when it is asked for. */
  glob(
    pattern: string,
    options: { query: "?raw"; import: "default" },
  ): Record<string, () => Promise<string>>;
}
