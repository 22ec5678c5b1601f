/** The entry: the surfaces' routes and the classes of the objects. */
import { addCcRoutes } from "./api/cc/routes.ts";
import { createApp } from "./http/app.ts";

export { Account } from "./account/account.ts";
export { Session } from "./session/session.ts";

const app = createApp();
addCcRoutes(app);

export default app;
