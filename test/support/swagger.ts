import type { Locator, Page } from 'playwright-core';

export interface SwaggerVisit {
  baseUrl: string;
  key: string;
}

/**
 * Does what a newcomer does at `/docs`: authorises, sends the example as it stands, and reads the message back.
 *
 * @returns what the page showed: the statuses of both answers, the message's id, and where it stood when read
 */
export async function sendThroughSwagger(page: Page, { baseUrl, key }: SwaggerVisit) {
  await page.goto(`${baseUrl}/docs`);
  await authorize(page, key);
  const sending = await openOperation(page, 'sendMessage');
  const accepted = await execute(sending);
  const { id } = JSON.parse(accepted.body) as { id: string };
  const reading = await openOperation(page, 'getMessage');
  await reading.locator('tr[data-param-name="id"] input').fill(id);
  const read = await execute(reading);
  const message = JSON.parse(read.body) as { id: string; status: string };
  return { sendStatus: accepted.status, id, readStatus: read.status, message };
}

async function authorize(page: Page, key: string): Promise<void> {
  await page.locator('button.authorize').first().click();
  const dialog = page.locator('.dialog-ux');
  await dialog.locator('input[type="text"], input[type="password"]').first().fill(key);
  await dialog.locator('button[type="submit"]').first().click();
  await dialog.locator('button.btn-done').first().click();
}

async function openOperation(page: Page, operationId: string): Promise<Locator> {
  const block = page.locator(`.opblock[id$="-${operationId}"]`);
  await block.locator('.opblock-summary-control').click();
  await block.locator('button.execute').waitFor();
  return block;
}

async function execute(block: Locator): Promise<{ status: number; body: string }> {
  await block.locator('button.execute').click();
  const answer = block.locator('table.live-responses-table');
  await answer.waitFor();
  const status = Number(await answer.locator('tr.response td.response-col_status').first().textContent());
  const body = (await answer.locator('.highlight-code pre').first().textContent()) ?? '';
  return { status, body };
}
