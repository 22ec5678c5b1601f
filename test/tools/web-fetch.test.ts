/** WebFetch through the real guard, with answers of a web that is not there. */
import { expect, test } from "vitest";
import { guardedRequest } from "../../src/net/guard.ts";
import { textOfHtml } from "../../src/net/html-text.ts";
import { ToolBench, textOf } from "./context.ts";

type Answer = [body: BodyInit, type: string, more?: ResponseInit];

/** Calls the tool; the web answers with these. */
async function fetched(url: string, answers: Record<string, Answer>, allow: string[] = []) {
  const asked: string[] = [];
  const bench = new ToolBench();
  const result = await bench.call(
    "WebFetch",
    { url, prompt: "what is it?" },
    {
      request: (address, request) =>
        guardedRequest(address, {
          ...request,
          allow,
          fetch: async (to) => {
            asked.push(to.href);
            const answer = answers[to.href];
            if (!answer) throw new TypeError("no such host");
            const [body, type, more = {}] = answer;
            const headers = { ...(type ? { "content-type": type } : {}), ...more.headers };
            return new Response(body, { statusText: "OK", ...more, headers });
          },
        }),
    },
  );
  return { asked, bench, text: textOf(result), ...result };
}

const PAGE = `<!doctype html><html><head><title>The  &amp; title</title><style>a{}</style>
<script>var x = "<p>no</p>";</script></head><body><nav><a href="/">Home</a></nav>
<h1>Head&shy;line</h1><p>One <a href="/x?a=1&amp;b=2">link
here</a> and <code>a &lt; b</code>.<br>Next&nbsp;line<p>Unclosed
<ul><li>a<li>b<ul><li>c</li></ul></ul><ol start=3><li>x</li><li>y</li></ol>
<pre>  keep
    this</pre><table><tr><th>k<th>v<tr><td><p>1</p></td><td>2</td></table>
<img src=a.png alt="a cat"><a href="#top">up</a><a href="javascript:x">js</a><hr>
<svg><text>no</text></svg><footer>foot</footer>&#x1F600; end</body></html>`;

test("HTML becomes readable text", async () => {
  expect(await textOfHtml(PAGE, "https://example.com/page")).toBe(
    `# The & title

# Headline

One [link here](https://example.com/x?a=1&b=2) and \`a < b\`.
Next line

Unclosed

- a
- b

  - c

3. x
4. y

\`\`\`
  keep
    this
\`\`\`

k | v
1 | 2

[image: a cat]upjs

---

😀 end`,
  );
});

test("a page without the ends of what is dropped is shown all the same", async () => {
  const base = "https://example.com/";
  expect(await textOfHtml("<nav>menu<p>text", base)).toBe("menu\n\ntext");
  expect(await textOfHtml("<p>a<script>b", base)).toBe("a");
  expect(await textOfHtml("", base)).toBe("");
  expect(await textOfHtml("just &lt;text&gt;", base)).toBe("just <text>");
  expect(await textOfHtml("<a href='/x'><div>a</div><div>b</div></a>", base)).toBe(
    "a\nb (https://example.com/x)",
  );
});

test("the result begins with the address and status that answered", async () => {
  const { asked, text, is_error } = await fetched("http://example.com/a", {
    "https://example.com/a": ["", "", { status: 301, headers: { location: "/b" } }],
    "https://example.com/b": ["<p>Hi", "text/html; charset=utf-8"],
  });
  expect(asked).toEqual(["https://example.com/a", "https://example.com/b"]);
  expect(text).toBe("URL: https://example.com/b\nStatus: 200 OK\n\nHi");
  expect(is_error).toBe(false);
});

test("an error's page is shown as an error", async () => {
  const { text, is_error } = await fetched("https://example.com/", {
    "https://example.com/": ["<h1>Gone", "text/html", { status: 404, statusText: "Not Found" }],
  });
  expect(text).toBe("URL: https://example.com/\nStatus: 404 Not Found\n\n# Gone");
  expect(is_error).toBe(true);
});

test("a redirect to another host is told, and not followed", async () => {
  const { asked, text, is_error } = await fetched("https://example.com/", {
    "https://example.com/": ["", "", { status: 302, headers: { location: "//evil.example/x" } }],
  });
  expect(asked).toHaveLength(1);
  expect(text).toContain("REDIRECT DETECTED");
  expect(text).toContain("Redirect URL: https://evil.example/x\nStatus: 302");
  expect(is_error).toBe(false);
});

const latin = new Uint8Array([0x63, 0x61, 0x66, 0xe9]);

test.each<[string, BodyInit, string]>([
  ["application/json", '{"a": [1]}', '{"a": [1]}'],
  ["text/plain", "<p>as it is", "<p>as it is"],
  ["application/atom+xml", "<feed/>", "<feed/>"],
  ["text/plain; charset=iso-8859-1", latin, "café"],
  [
    "text/html",
    new Uint8Array([...new TextEncoder().encode("<meta charset=latin1>"), ...latin]),
    "café",
  ],
  ["text/plain; charset=nonsense", "ok", "ok"],
  ["", "no type", "no type"],
  ["text/html", "", "(The page has no text.)"],
])("content of the type %j is shown as text", async (type, body, shown) => {
  const { text, is_error } = await fetched("https://example.com/", {
    "https://example.com/": [body, type],
  });
  expect(text).toBe(`URL: https://example.com/\nStatus: 200 OK\n\n${shown}`);
  expect(is_error).toBe(false);
});

test("images and PDFs are shown by what they are", async () => {
  const png = new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 1]);
  const { content } = await fetched("https://example.com/", {
    "https://example.com/": [png, "image/jpeg"],
  });
  expect(content).toMatchObject([
    { type: "text", text: "URL: https://example.com/\nStatus: 200 OK" },
    { type: "image", source: { media_type: "image/png" } },
  ]);
  const pdf = await fetched("https://example.com/", {
    "https://example.com/": ["%PDF-1.7", "application/octet-stream"],
  });
  expect(pdf.content[1]).toMatchObject({ type: "document" });
});

test.each(["application/zip", "image/svg", "video/mp4", ""])(
  "content of the type %j that is no text is refused by its name",
  async (type) => {
    const { text, is_error } = await fetched("https://example.com/", {
      "https://example.com/": [new Uint8Array([0, 1, 2]), type],
    });
    expect(text).toContain(`The content is ${type || "of no known type"} (3 bytes)`);
    expect(is_error).toBe(true);
  },
);

test("a long page is in a file, with its head and tail in the result", async () => {
  const body = Array.from({ length: 20_000 }, (_, i) => `line ${i}`).join("\n");
  const { bench, text } = await fetched("https://example.com/", {
    "https://example.com/": [body, "text/plain"],
  });
  expect(text.length).toBeLessThan(51_000);
  expect(text).toMatch(/^URL: https:\/\/example.com\/\nStatus: 200 OK\n\nline 0\n/);
  expect(text).toMatch(/\nline 19999$/);
  const path = /All of it is in (\S+)\.\]/.exec(text)?.[1] ?? "";
  const kept = await bench.inside((workspace) => new TextDecoder().decode(workspace.read(path)));
  expect(kept).toContain(body);
});

test.each([
  ["http://127.0.0.1/", "The URL's host must be a public one: http://127.0.0.1/"],
  ["ftp://example.com/", "The URL must begin with http:// or https://: ftp://example.com/"],
  ["not a url", "The URL is not valid: not a url"],
  ["https://nowhere.example/", "The URL could not be fetched: https://nowhere.example/"],
])("%s is an error that says why", async (url, message) => {
  const { text, is_error } = await fetched(url, {});
  expect(text).toBe(message);
  expect(is_error).toBe(true);
});

test("what is larger than 2 MB is refused, and a host of the list is asked as it is", async () => {
  const large = await fetched("https://example.com/", {
    "https://example.com/": [new Uint8Array(2 * 1024 * 1024 + 1), "text/plain"],
  });
  expect(large.text).toContain("The URL's content is larger than 2097152 bytes");
  const { asked } = await fetched(
    "http://localhost:81/",
    { "http://localhost:81/": ["ok", "text/plain"] },
    ["localhost:81"],
  );
  expect(asked).toEqual(["http://localhost:81/"]);
});
