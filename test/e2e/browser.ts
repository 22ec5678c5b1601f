/** A real browser, as a person would open this server's pages with it. */
import { existsSync } from "node:fs";
import { type Browser, chromium, type Page } from "playwright-core";
import { onTestFinished } from "vitest";

const PLACES = [
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
];

const FLAGS = [
  // Containers often run as root, and without what its sandbox needs.
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  // Nothing but the page itself asks for anything.
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

function executable(): string {
  const chosen = process.env.CHROMIUM ?? PLACES.find((path) => existsSync(path));
  if (chosen !== undefined && existsSync(chosen)) return chosen;
  throw new Error(
    "This test needs Chromium: install it (on Debian and Ubuntu with `sudo apt-get install chromium`), or set CHROMIUM to the path of a Chromium or Chrome.",
  );
}

export const openBrowser = (): Promise<Browser> =>
  chromium.launch({ executablePath: executable(), args: FLAGS });

export interface WatchedPage {
  page: Page;
  /** What went wrong: errors on the console, what the policy forbade, requests that failed or left this server. */
  wrong: string[];
}

/** An empty page that shares nothing with others, until the test is over. What goes wrong on it is collected. */
export async function newPage(browser: Browser, origin: string): Promise<WatchedPage> {
  const context = await browser.newContext();
  onTestFinished(() => context.close());
  const page = await context.newPage();
  const wrong: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") wrong.push(message.text());
  });
  page.on("pageerror", ({ message }) => wrong.push(message));
  page.on("requestfailed", (request) => {
    const why = request.failure()?.errorText;
    // What the page itself has left.
    if (why !== "net::ERR_ABORTED") wrong.push(`${request.url()}: ${why}`);
  });
  page.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(`${origin}/`) && !url.startsWith("data:")) wrong.push(`asked for ${url}`);
  });
  await page.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) => {
      console.error(`forbidden: ${event.violatedDirective} ${event.blockedURI}`);
    });
  });
  return { page, wrong };
}
