/** `GET /api/sessions/{id}/files/{path}` */
import type { HttpContext } from "../../http/context.ts";
import { download } from "../common/download.ts";
import { addressed } from "./address.ts";
import { filePath, PATH_FIELD } from "./files-session.ts";

export const getFile = (c: HttpContext): Promise<Response> =>
  download(c, addressed(c).session, filePath(c), PATH_FIELD);
