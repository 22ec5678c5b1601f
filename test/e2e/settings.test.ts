import { expect, test } from "vitest";
import { readSettings, type Settings } from "../../scripts/settings.ts";
import { VARIABLES } from "../../src/shared/config.ts";
import { REPLACED_VARIABLES } from "../../src/shared/config-replaced.ts";
import { WRONG_VALUES } from "../support/wrong-values.ts";

function settings(
  args: string[] = [],
  env: Record<string, string> = {},
  files: Record<string, string> = {},
): Settings {
  const result = readSettings(args, env, (path) => files[path] ?? null);
  if (result.kind !== "settings") throw new Error(JSON.stringify(result));
  return result.settings;
}

function refusal(args: string[], env: Record<string, string> = {}): string {
  const result = readSettings(args, env, () => null);
  return result.kind === "refused" ? result.problems.join("\n") : "";
}

test("with nothing given it listens on 127.0.0.1:8000 with the stand-in and without a key", () => {
  expect(settings()).toMatchObject({ host: "127.0.0.1", port: 8000, data: ".ledge" });
  expect(settings().config.upstream).toEqual({ kind: "standin", paceMs: 20 });
  expect(settings().config.allowAnonymous).toBe(true);
});

test("the port is that of --port, else of PORT, of CC_API_PORT, of API_PORT", () => {
  const env = { PORT: "8001", CC_API_PORT: "8002" };
  expect(settings(["--port", "8003"], env).port).toBe(8003);
  expect(settings([], env).port).toBe(8001);
  expect(settings([], { CC_API_PORT: "8002", API_PORT: "8004" }).port).toBe(8002);
  expect(settings([], { API_PORT: "8004" }).port).toBe(8004);
});

test.each(["x", "-1", "65536", "80.5"])("the port %s is refused", (port) => {
  expect(refusal([`--port=${port}`])).toBe("--port must be a port number from 0 to 65535");
  expect(refusal([], { PORT: port })).toBe("PORT must be a port number from 0 to 65535");
});

test("an option that does not exist is named", () => {
  expect(refusal(["--prot", "1"])).toMatch(/^Unknown option '--prot'\..*--help/);
});

test("a file that was asked for and is missing is named", () => {
  expect(refusal(["--vars", "other"])).toBe("--vars: there is no file other");
});

test("the file of variables wins over the environment, and an empty value counts as not set", () => {
  const files = { ".dev.vars": "CC_API_MODEL=claude-opus-5\nANTHROPIC_API_KEY=\nAPI_KEYS='a:b$c'" };
  const { config, variables } = settings([], { CC_API_MODEL: "claude-haiku-5" }, files);
  expect(config.model).toBe("claude-opus-5");
  expect(config.upstream.kind).toBe("standin");
  expect(variables.API_KEYS).toBe("a:b$c");
});

test("with an Anthropic key the stand-in is off", () => {
  const { config, variables } = settings([], { ANTHROPIC_API_KEY: "sk-1" });
  expect(config.upstream).toEqual({ kind: "anthropic", apiKey: "sk-1", baseUrl: null });
  expect(variables.STANDIN).toBeUndefined();
});

test("other things in the environment do not reach the Worker", () => {
  expect(Object.keys(settings([], { HOME: "/home/ada", PATH: "/bin" }).variables)).toEqual([
    "ALLOW_ANONYMOUS",
    "STANDIN",
    "STANDIN_PACE_MS",
  ]);
});

test("a misspelt variable in the file is reported", () => {
  const files = { ".dev.vars": "ANTHROPIC_KEY=sk-1\nSTANDIN=true" };
  expect(settings([], {}, files).unknown).toEqual(["ANTHROPIC_KEY"]);
});

test.each(["0.0.0.0", "::", "192.168.1.5"])("at %s a key is needed", (host) => {
  expect(refusal(["--host", host])).toContain("set API_KEYS or CC_API_KEY");
  expect(refusal(["--host", host], { ALLOW_ANONYMOUS: "true" })).toContain("set API_KEYS");
  const { config } = settings(["--host", host], { CC_API_KEY: "k" });
  expect(config.allowAnonymous).toBe(false);
});

test.each(WRONG_VALUES)("a wrong %s stops the start", (name, value) => {
  expect(refusal([], { [name]: value })).toContain(`${name} must be ${VARIABLES[name].rule}`);
});

test("everything that is wrong is said at once", () => {
  const env = { MAX_BODY_MB: "0", PORT: "x", API_HOST: "example.com", STANDIN: "maybe" };
  expect(refusal([], env).split("\n")).toEqual([
    "API_HOST must be an IP address of this machine, or `localhost`",
    "PORT must be a port number from 0 to 65535",
    "STANDIN must be `true` or `false`",
    "MAX_BODY_MB must be a whole number from 1 to 16",
  ]);
});

test("the address is that of --host, else of CC_API_HOST, else of API_HOST", () => {
  const env = { CC_API_HOST: "127.0.0.2", API_HOST: "127.0.0.3" };
  expect(settings(["--host", "127.0.0.1"], env).host).toBe("127.0.0.1");
  expect(settings([], env).host).toBe("127.0.0.2");
  expect(settings([], { API_HOST: "127.0.0.3" }).host).toBe("127.0.0.3");
});

test("what the start reads itself may stand in the file as well", () => {
  const files = { ".dev.vars": "API_PORT=8005\nLEDGE_DATA=/tmp/elsewhere" };
  const { port, data, unknown } = settings([], { LEDGE_DATA: "here" }, files);
  expect({ port, data, unknown }).toEqual({ port: 8005, data: "/tmp/elsewhere", unknown: [] });
});

test.each(Object.entries(REPLACED_VARIABLES))(
  "%s has no meaning, and it is said what is there instead",
  (name, by) => {
    expect(settings([], { [name]: "x" }).replaced).toEqual([{ name, by }]);
    const inFile = settings([], {}, { ".dev.vars": `${name}=x` });
    expect(inFile).toMatchObject({ replaced: [{ name, by }], unknown: [] });
    expect(Object.keys(inFile.variables)).not.toContain(name);
  },
);

test("a host that is no address is refused", () => {
  expect(refusal(["--host", "example.com"])).toContain("--host must be an IP address");
});
