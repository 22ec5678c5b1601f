/**
 * The readable part of an HTML page as Markdown, with the parser that the platform has built in.
 * It reports start tags, texts and those end tags that are there, so nothing here relies on an
 * end tag but the marks that need one.
 */

/** What is on a page but not for reading. */
const DROPPED = "script, style, template, svg, iframe, object, noscript, select, button";
/** Left out too, unless the page never ends them. */
const FURNITURE = "nav, footer, aside, dialog";

/** Elements that begin a line, with the number of line feeds before them. */
const BLOCKS: ReadonlyMap<string, 1 | 2> = new Map([
  ...named(
    "div section article main header form fieldset figcaption address dt dd tr details summary caption legend option",
    1 as const,
  ),
  ...named("p blockquote figure ul ol dl table pre h1 h2 h3 h4 h5 h6 hr", 2 as const),
]);

function named<T>(tags: string, feeds: T): [string, T][] {
  return tags.split(" ").map((tag) => [tag, feeds]);
}

const ENTITIES: ReadonlyMap<string, string> = new Map(
  Object.entries({
    shy: "",
    amp: "&",
    lt: "<",
    gt: ">",
    quot: '"',
    apos: "'",
    nbsp: " ",
    copy: "©",
    reg: "®",
    trade: "™",
    hellip: "…",
    mdash: "—",
    ndash: "–",
    lsquo: "‘",
    rsquo: "’",
    ldquo: "“",
    rdquo: "”",
    bull: "•",
    middot: "·",
    laquo: "«",
    raquo: "»",
    times: "×",
    deg: "°",
    euro: "€",
    pound: "£",
    sect: "§",
    para: "¶",
    rarr: "→",
    larr: "←",
    auml: "ä",
    ouml: "ö",
    uuml: "ü",
    Auml: "Ä",
    Ouml: "Ö",
    Uuml: "Ü",
    szlig: "ß",
    eacute: "é",
    egrave: "è",
    agrave: "à",
    ccedil: "ç",
    ntilde: "ñ",
  }),
);

/** @param base the page's address, for its links */
export async function textOfHtml(html: string, base: string): Promise<string> {
  const page = await pageOf(html, base, `${DROPPED}, ${FURNITURE}`);
  if (page.isWhole) return page.text;
  // Something that is dropped has no end, and the rest was dropped with it.
  return (await pageOf(html, base, "script, style")).text;
}

async function pageOf(html: string, base: string, dropped: string): Promise<Page> {
  const page = new Page(base);
  const rewriter = new HTMLRewriter()
    .on(dropped, { element: (element) => page.drop(element) })
    .on("*", { element: (element) => page.element(element) })
    .onDocument({ text: (chunk) => page.chunk(chunk.text, chunk.lastInTextNode) });
  await rewriter.transform(new Response(html)).arrayBuffer();
  return page;
}

class Page {
  readonly #base: string;
  readonly #parts: string[] = [];
  #pending = "";
  /** Line feeds that come before the next text, and whether a space does. */
  #feeds = 0;
  #space = false;
  #dropped = 0;
  #verbatim = 0;
  #title: string | null = null;
  #inTitle = false;
  #cells = 0;
  /** Numbers of the items of the open lists; null in one without numbers. */
  readonly #lists: (number | null)[] = [];

  constructor(base: string) {
    this.#base = base;
  }

  get isWhole(): boolean {
    return this.#dropped === 0;
  }

  get text(): string {
    const body = this.#parts.join("");
    return this.#title ? `# ${this.#title}\n\n${body}` : body;
  }

  drop(element: Element): void {
    this.#flush();
    if (
      !ends(element, () => {
        this.#flush();
        this.#dropped -= 1;
      })
    )
      return;
    this.#dropped += 1;
  }

  /** A text comes in chunks, which may cut a word or an entity. */
  chunk(text: string, last: boolean): void {
    this.#pending += text;
    if (last) this.#flush();
  }

  element(element: Element): void {
    this.#flush();
    if (this.#dropped > 0) return;
    const tag = element.tagName;
    if (tag === "title") {
      this.#inTitle = true;
      ends(element, () => {
        this.#flush();
        this.#inTitle = false;
      });
    } else if (tag === "br") this.#break(1);
    else if (tag === "a") this.#link(element);
    else if (tag === "img") this.#image(element);
    else if (tag === "li") this.#item(element);
    else if (tag === "td" || tag === "th") this.#cell();
    else if (tag === "code" && this.#verbatim === 0) this.#around(element, "`");
    else {
      const feeds = BLOCKS.get(tag);
      if (feeds) this.#block(element, tag, feeds);
    }
  }

  #block(element: Element, tag: string, feeds: 1 | 2): void {
    if (tag === "tr") this.#cells = 0;
    this.#break(feeds);
    if (tag === "hr") this.#write("---");
    if (/^h[1-6]$/.test(tag)) this.#write(`${"#".repeat(Number(tag[1]))} `);
    if (tag === "ul") this.#lists.push(null);
    if (tag === "ol") this.#lists.push(Number(element.getAttribute("start") ?? 1) || 1);
    if (tag === "pre") {
      this.#write("```\n");
      this.#verbatim += 1;
    }
    ends(element, () => {
      this.#flush();
      if (tag === "ul" || tag === "ol") this.#lists.pop();
      if (tag === "tr" || tag === "table") this.#cells = 0;
      if (tag === "pre") {
        this.#verbatim -= 1;
        if (this.#parts.at(-1)?.endsWith("\n") !== true) this.#write("\n");
        this.#write("```");
      }
      this.#break(feeds);
    });
    if (tag === "hr") this.#break(2);
  }

  #item(element: Element): void {
    this.#break(1);
    const number = this.#lists.at(-1) ?? null;
    if (number !== null) this.#lists[this.#lists.length - 1] = number + 1;
    this.#write(
      `${"  ".repeat(Math.max(0, this.#lists.length - 1))}${number === null ? "-" : `${number}.`} `,
    );
    ends(element, () => {
      this.#flush();
      this.#break(1);
    });
  }

  /** The cells of a row are one line. */
  #cell(): void {
    this.#space = false;
    if (this.#cells > 0) this.#write(" | ");
    this.#cells += 1;
  }

  #around(element: Element, mark: string): void {
    const from = this.#parts.length;
    ends(element, () => {
      this.#flush();
      this.#wrap(from, (text) => `${mark}${text}${mark}`);
    });
  }

  #link(element: Element): void {
    const target = URL.parse(decoded(element.getAttribute("href") ?? "#"), this.#base);
    const from = this.#parts.length;
    if (!target || !/^https?:$/.test(target.protocol)) return;
    if (target.hash !== "" && target.href.split("#")[0] === this.#base.split("#")[0]) return;
    ends(element, () => {
      this.#flush();
      this.#wrap(from, (text) =>
        text.includes("\n") ? `${text} (${target.href})` : `[${text}](${target.href})`,
      );
    });
  }

  #image(element: Element): void {
    const alt = decoded(element.getAttribute("alt") ?? "").trim();
    if (alt !== "") this.#write(`[image: ${alt}]`);
  }

  /** Puts marks around what was written since, its space and line feeds left outside. */
  #wrap(from: number, marked: (text: string) => string): void {
    const written = this.#parts.splice(from).join("");
    const text = written.trim();
    if (text === "") this.#parts.push(written);
    else this.#parts.push(written.replace(text, () => marked(text)));
  }

  #flush(): void {
    const raw = this.#pending;
    this.#pending = "";
    if (raw === "" || this.#dropped > 0) return;
    const text = decoded(raw);
    if (this.#inTitle) {
      this.#title ??= text.replace(/\s+/g, " ").trim();
      return;
    }
    if (this.#verbatim > 0) {
      this.#write(text);
      return;
    }
    if (/^\s/.test(text)) this.#space = true;
    const words = text.trim().replace(/\s+/g, " ");
    if (words === "") return;
    this.#write(words);
    this.#space = /\s$/.test(text);
  }

  #break(feeds: 1 | 2): void {
    // A paragraph in a cell does not break its row.
    if (this.#cells > 0) this.#space = true;
    else this.#feeds = Math.max(this.#feeds, feeds);
  }

  #write(text: string): void {
    if (this.#parts.length > 0 && this.#feeds > 0) this.#parts.push("\n".repeat(this.#feeds));
    else if (this.#space && this.#parts.length > 0) this.#parts.push(" ");
    this.#feeds = 0;
    this.#space = false;
    this.#parts.push(text);
  }
}

/** Calls `act` at the element's end tag. False when it can have none. */
function ends(element: Element, act: () => void): boolean {
  try {
    element.onEndTag(act);
    return true;
  } catch {
    return false;
  }
}

const decoded = (text: string): string =>
  text.replace(
    /&(?:#(\d{1,7})|#[xX]([0-9a-fA-F]{1,6})|([A-Za-z]{2,8}));/g,
    (all, decimal, hex, name) => {
      if (name !== undefined) return ENTITIES.get(name) ?? all;
      const code = decimal === undefined ? Number.parseInt(hex, 16) : Number(decimal);
      const valid = code > 0 && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
      return valid ? String.fromCodePoint(code) : "\ufffd";
    },
  );
