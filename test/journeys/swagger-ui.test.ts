import { describe, expect, test } from 'vitest';
import { findChromium, launchBrowser } from '../support/browser.ts';
import { KEY, startPostroom } from '../support/postroom.ts';
import { sendThroughSwagger } from '../support/swagger.ts';

const chromium = findChromium();
const title = chromium
  ? 'a newcomer in a browser'
  : 'a newcomer in a browser (no Chromium found; name one in POSTROOM_CHROMIUM)';

describe.skipIf(!chromium)(title, () => {
  test('sends the example from Swagger UI, and finds it in the inbox of the sandbox', async () => {
    await using postroom = await startPostroom();
    const browser = await launchBrowser(chromium ?? '');
    try {
      const page = await browser.newPage();
      const shown = await sendThroughSwagger(page, { baseUrl: postroom.url, key: KEY });
      expect(shown).toMatchObject({ sendStatus: 202, readStatus: 200 });
      const { subject } = await postroom.until(shown.id, 'sent');
      await page.goto(postroom.sandbox.http.url);
      await page.getByText(subject).first().click();
      await page.getByText('not Microsoft 365').first().waitFor();
      expect(await page.locator('iframe[sandbox]').count()).toBeGreaterThan(0);
    } finally {
      await browser.close();
    }
  });
});
