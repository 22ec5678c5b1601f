/** The entry: the surfaces' routes and the classes of the objects. */
import { addCcRoutes } from "./api/cc/routes.ts";
import { CHAT_ERRORS } from "./api/chat/errors.ts";
import { addChatRoutes } from "./api/chat/routes.ts";
import { addCodeRoutes } from "./api/code/routes.ts";
import { addDocsRoutes } from "./api/openapi/routes.ts";
import { createApp } from "./http/app.ts";

export { Account } from "./account/account.ts";
export { Session } from "./session/session.ts";

const app = createApp([...CHAT_ERRORS]);
addDocsRoutes(app);
addCodeRoutes(app);
addCcRoutes(app);
addChatRoutes(app);

export default app;
