import { Hono, type MiddlewareHandler } from "hono";
import { methodNotAllowed } from "hono/method-not-allowed";
import { type ConfigProblem, readConfig } from "../shared/config.ts";
import { followLogLevel } from "../shared/log-level.ts";
import type { HttpEnv } from "./context.ts";
import { cors } from "./cors.ts";
import * as problems from "./problems.ts";
import { type ErrorForm, formOn } from "./problems.ts";
import { requestId } from "./request-id.ts";
import { securityHeaders } from "./security.ts";

/**
 * An app with everything that all surfaces share: request ids, security headers, the checked
 * configuration, CORS, problems for errors, 404 and 405. Surfaces add their routes to it, and their
 * own forms of errors.
 *
 * @example
 * const app = createApp();
 * app.use("/api/*", authentication());
 * app.get("/api/things", (c) => c.json({ account: c.get("account") }));
 */
export function createApp(forms: readonly ErrorForm[] = []): Hono<HttpEnv> {
  const app = new Hono<HttpEnv>();
  app.use(
    errorForm(forms),
    requestId(),
    securityHeaders(),
    configuration(),
    cors(),
    methodNotAllowed({
      app,
      onMethodNotAllowed: (c, allow) => problems.respond(c, problems.methodNotAllowed(allow)),
    }),
  );
  app.onError(problems.onError);
  app.notFound(problems.onNotFound);
  return app;
}

/** Puts into the context how problems are said on the request's path. */
const errorForm = (forms: readonly ErrorForm[]): MiddlewareHandler<HttpEnv> =>
  async function errorForm(c, next) {
    c.set("errorForm", formOn(forms, c.req.path));
    return next();
  };

/** Puts the configuration into the context, or answers 503 that names what is wrong with it. */
const configuration = (): MiddlewareHandler<HttpEnv> =>
  async function configuration(c, next) {
    const result = readConfig(c.env);
    if (!result.ok) return problems.respond(c, misconfigured(result.problems));
    followLogLevel(c.env);
    c.set("config", result.config);
    return next();
  };

const misconfigured = (wrong: readonly ConfigProblem[]): problems.Problem =>
  problems.unavailable(
    "misconfigured",
    `The server's configuration is wrong: ${wrong.map((one) => `${one.variable} ${one.rule}`).join("; ")}`,
  );
