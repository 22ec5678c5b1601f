/** Shows this server's API and lets its routes be tried. Keys that are typed in stay in the page's memory. */
const QUIET_MS = 3000;

SwaggerUIBundle({
  url: "/openapi.json",
  domNode: document.getElementById("api"),
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
  deepLinking: true,
  filter: true,
  tryItOutEnabled: true,
  displayRequestDuration: true,
  persistAuthorization: false,
  validatorUrl: null,
  requestInterceptor: (request) => ({ ...request, userFetch: fetchUntilQuiet }),
});

/**
 * Swagger UI shows an answer once it has ended, and the stream of a session has no end: what has come
 * is shown when nothing has come for a while. Other answers are passed on as they are.
 */
async function fetchUntilQuiet(url, request) {
  const stop = new AbortController();
  const response = await fetch(url, { ...request, signal: stop.signal });
  const type = response.headers.get("content-type") ?? "";
  const endless = request.method === "GET" && type.startsWith("text/event-stream");
  if (!endless || !response.body) return response;
  const text = await textUntilQuiet(response.body);
  stop.abort();
  const { status, statusText, headers } = response;
  return new Response(text, { status, statusText, headers });
}

async function textUntilQuiet(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    let timer;
    const quiet = new Promise((resolve) => {
      timer = setTimeout(resolve, QUIET_MS, { done: true });
    });
    const { done, value } = await Promise.race([reader.read(), quiet]);
    clearTimeout(timer);
    if (done) return text;
    text += value;
  }
}
