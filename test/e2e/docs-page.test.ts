/** The pages of documentation in a real browser, as people use them. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Locator, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Client } from "../../scripts/client.ts";
import { type ServerProcess, spawnServer } from "../../scripts/server-process.ts";
import { newPage, openBrowser } from "./browser.ts";
import { dataFolder, startedServer } from "./support.ts";

const KEY = "docs-page-key-1";

let browser: Browser;
/** Without keys. */
let server: ServerProcess;
let data: string;

beforeAll(async () => {
  data = await mkdtemp(join(tmpdir(), "ledge-e2e-"));
  [browser, server] = await Promise.all([openBrowser(), spawnServer({ data, variables: {} })]);
});

afterAll(async () => {
  await browser?.close();
  await server?.kill();
  await rm(data, { recursive: true, force: true });
});

/** The part of the page that is about one operation; it is unfolded. */
async function operation(page: Page, id: string): Promise<Locator> {
  const block = page.locator(`.opblock[id$="-${id}"]`);
  await block.locator(".opblock-summary-control").click();
  await block.locator(".btn.execute").waitFor();
  return block;
}

/** Sends what stands in the block, and gives what the page then shows of the answer. */
async function execute(block: Locator): Promise<{ status: string; body: string }> {
  await block.locator(".btn.execute").click();
  const answer = block.locator(".live-responses-table .response").first();
  await answer.waitFor();
  await block.locator(".loading-container").waitFor({ state: "hidden" });
  const status = await answer.locator(".response-col_status").textContent();
  const body = await answer.locator(".response-col_description").textContent();
  return { status: status?.trim() ?? "", body: body ?? "" };
}

const fill = (block: Locator, name: string, value: string): Promise<void> =>
  block.locator(`[data-param-name="${name}"] input`).fill(value);

const sessionIn = (body: string): string => /sess_\w{26}/.exec(body)?.[0] ?? "";

test("with a key that is typed in a session is created and a turn is run", async () => {
  const { url } = await startedServer(await dataFolder(), { API_KEYS: `ada:${KEY}` });
  const { page, wrong } = await newPage(browser, url);
  await page.goto(`${url}/docs`);

  await page.getByRole("button", { name: "Authorize" }).first().click();
  const field = page.locator("#auth-bearer-value");
  // Whoever opens the dialog can type at once.
  await page.locator("#auth-bearer-value:focus").waitFor();
  await field.fill(KEY);
  await field.press("Enter");
  await page.locator(".dialog-ux .close-modal").click();

  const created = await execute(await operation(page, "createSession"));
  expect(created.status).toBe("201");
  const id = sessionIn(created.body);

  const turn = await operation(page, "createTurn");
  await fill(turn, "id", id);
  const answer = await execute(turn);
  expect(answer.status).toBe("200");
  expect(answer.body).toContain("1 2 3 4 5");

  // A stream without an end is shown once nothing comes any more.
  const stream = await operation(page, "streamEvents");
  await fill(stream, "id", id);
  const events = await execute(stream);
  expect(events.body).toContain("event: session.created");
  expect(events.body).toContain("event: turn.completed");

  expect(await page.evaluate(() => localStorage.length + sessionStorage.length)).toBe(0);
  expect(wrong).toEqual([]);
});

test("without keys the routes of all surfaces can be tried on the machine itself", async () => {
  const { page, wrong } = await newPage(browser, server.url);
  await page.goto(`${server.url}/docs`);

  const code = await execute(await operation(page, "codeCreateSession"));
  expect(code.status).toBe("201");
  const chat = await operation(page, "codeChat");
  await fill(chat, "name", "my-project");
  expect((await execute(chat)).body).toContain("1 2 3 4 5");

  const claude = await execute(await operation(page, "chatStream"));
  expect(claude.body).toContain('"type":"done"');
  expect(wrong).toEqual([]);
});

test("files are sent from the page, and come back", async () => {
  const { id } = await new Client(server.url).createSession();
  const { page, wrong } = await newPage(browser, server.url);
  await page.goto(`${server.url}/docs`);

  const upload = await operation(page, "uploadFiles");
  await fill(upload, "id", id);
  const notes = { name: "notes.txt", mimeType: "text/plain", buffer: Buffer.from("milk, eggs") };
  await upload.locator("input[type=file]").setInputFiles(notes);
  expect((await execute(upload)).status).toBe("201");

  const put = await operation(page, "putFile");
  await fill(put, "id", id);
  await fill(put, "path", "lists/today.txt");
  await put.locator("input[type=file]").setInputFiles(notes);
  expect((await execute(put)).status).toBe("201");

  const download = await operation(page, "downloadFile");
  await fill(download, "id", id);
  await fill(download, "path", "lists/today.txt");
  expect((await execute(download)).status).toBe("200");
  const link = download.getByRole("link", { name: "Download file" });
  const [saved] = await Promise.all([page.waitForEvent("download"), link.click()]);
  expect(await readFile(await saved.path(), "utf8")).toBe("milk, eggs");

  expect(wrong).toEqual([]);
});

test("/redoc shows everything at once, finds it, and leads to where it is tried", async () => {
  const { page, wrong } = await newPage(browser, server.url);
  await page.goto(`${server.url}/redoc#createTurn`);
  await page.locator("main:not([aria-busy])").waitFor();

  const described = await (await fetch(`${server.url}/openapi.json`)).json();
  const routes = Object.values(described.paths).flatMap((item) => Object.keys(Object(item)));
  const schemas = Object.keys(described.components.schemas);
  expect(await page.locator("main article").count()).toBe(routes.length + schemas.length);
  expect(await page.locator("aside li").count()).toBe(routes.length + schemas.length);
  expect(await page.locator("main").textContent()).not.toMatch(/undefined|\[object/);

  const article = page.locator("#createTurn");
  await article.getByText("max_budget_usd").waitFor();
  expect(await article.evaluate((one) => Math.abs(one.getBoundingClientRect().top) < 300)).toBe(
    true,
  );
  // Every link on the page leads to something that is there.
  const lost = await page.evaluate(() =>
    [...document.querySelectorAll<HTMLAnchorElement>('a[href^="#"]')]
      .map((link) => link.hash.slice(1))
      .filter((id) => !document.getElementById(id)),
  );
  expect(lost).toEqual([]);

  await page.getByRole("searchbox", { name: "Filter" }).fill("POST createturn");
  expect(await page.locator("aside li:visible").count()).toBe(1);
  expect(await page.locator("main article:visible").count()).toBe(1);

  await article.getByRole("link", { name: "Try it" }).click();
  const block = page.locator('.opblock[id$="-createTurn"]');
  await block.locator(".btn.execute").waitFor();
  expect(wrong).toEqual([]);
});
