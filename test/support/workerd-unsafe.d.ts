/** workerd's own module for tests; `reset` of `cloudflare:test` calls it. */
declare module "workerd:unsafe" {
  const unsafe: {
    /** Ends every object and deletes what it stored, its alarm too. */
    deleteAllDurableObjects(): Promise<void>;
  };
  export default unsafe;
}
