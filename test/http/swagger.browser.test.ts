import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findChromium, launchBrowser } from '../support/browser.ts';
import { KEYS } from '../support/fake-api.ts';
import { type HttpService, startHttpService } from '../support/http-service.ts';
import { sendThroughSwagger } from '../support/swagger.ts';

const chromium = findChromium();
const reason = 'no Chromium found; install one, or name it in POSTROOM_CHROMIUM';

describe.skipIf(!chromium)(chromium ? 'Swagger UI in a browser' : `Swagger UI (${reason})`, () => {
  let service: HttpService;
  let browser: Browser;
  let page: Page;
  const complaints: string[] = [];

  beforeAll(async () => {
    service = await startHttpService({ swaggerUi: true });
    browser = await launchBrowser(chromium ?? '');
    page = await browser.newPage();
    page.on('console', (line) => line.type() === 'error' && complaints.push(line.text()));
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('requestfailed', (request) => complaints.push(`${request.url()} failed`));
  });
  afterAll(async () => {
    await browser?.close();
    await service?.app.close();
  });

  test('a person can authorise, send the example, and read where it stands', async () => {
    const shown = await sendThroughSwagger(page, { baseUrl: service.baseUrl, key: KEYS.all });
    expect(shown).toMatchObject({ sendStatus: 202, readStatus: 200, message: { id: shown.id, status: 'queued' } });
    expect(service.fake.submissions.at(-1)).toMatchObject({ subject: 'Your invoice 2026-0042' });
  });

  test('the page needs nothing from elsewhere, and its policy lets it work', async () => {
    expect(complaints).toEqual([]);
  });

  test('the key is gone with the page', async () => {
    const stored = await page.evaluate('JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])');
    expect(stored).not.toContain(KEYS.all);
  });
});
