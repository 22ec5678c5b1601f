/** What `npm start` itself reads from the file of variables and from the environment. */

interface StartVariable {
  fallback: string;
  meaning: string;
}

const PORT = "The port; 0 takes a free one. `--port` wins.";
const HOST = "The address to listen on; any but this machine's own needs a key. `--host` wins.";

/** Of several with one meaning the first that is set wins. */
export const START_VARIABLES = {
  PORT: { fallback: "8000", meaning: PORT },
  CC_API_PORT: { fallback: "8000", meaning: "The same." },
  API_PORT: { fallback: "8000", meaning: "The same." },
  CC_API_HOST: { fallback: "127.0.0.1", meaning: HOST },
  API_HOST: { fallback: "127.0.0.1", meaning: "The same." },
  LEDGE_DATA: { fallback: ".ledge", meaning: "The folder of the data. `--data` wins." },
} satisfies Record<string, StartVariable>;

export type StartVariableName = keyof typeof START_VARIABLES;
