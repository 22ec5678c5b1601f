/** A Worker that only passes the request on: what the local runtime itself costs. */
interface Env {
  readonly ANTHROPIC_BASE_URL: string;
}

export default {
  fetch(request: Request, env: Env): Promise<Response> | Response {
    const { pathname } = new URL(request.url);
    if (pathname === "/healthz") return new Response("ok");
    const { method, headers, body } = request;
    return fetch(`${env.ANTHROPIC_BASE_URL}${pathname}`, { method, headers, body });
  },
};
