import { pino } from 'pino';
import { expect, it, vi } from 'vitest';
import { startSandbox } from '../../src/sandbox/sandbox.ts';
import { startService } from '../../src/service.ts';
import { client, mailboxOf, settled } from '../support/postroom.ts';
import { startTestRedis } from '../support/redis.ts';
import { standInForTheClock } from '../support/stood-in-clock.ts';

const PER_MINUTE = 5;
const SECOND = 1_000;

it.each([
  ['while no lane is open', false],
  ['while no process runs', true],
])('the limit of a minute is kept although Redis’s clock is set ahead by 45 seconds %s', async (_when, restarts) => {
  await using redis = await startTestRedis();
  await using clock = await standInForTheClock(redis.url);
  await using sandbox = await startSandbox({ limits: { messagesPerWindow: PER_MINUTE } });
  const mailbox = mailboxOf(sandbox, { messagesPerMinute: PER_MINUTE });
  const auth = { type: 'password' as const, password: sandbox.mailboxes[0]?.password ?? '' };
  const config = settled(redis.url, [{ ...mailbox, auth }]);
  let service = await startService(config, pino({ level: 'silent' }));
  await using _service = { [Symbol.asyncDispose]: () => clock.passUntil(service.close()) };
  const { sendTo } = client(() => service.url ?? '', mailbox.address);
  const passAll = async (seconds: number, step = 250) => {
    for (let passed = 0; passed < seconds * SECOND; passed += step) await clock.pass(step);
  };
  const atServer = () => Object.values(sandbox.stats().mailboxes)[0];

  for (let number = 0; number < PER_MINUTE; number += 1) await sendTo(`first${number}@fabrikam.com`);
  // The lane closes when it has been idle for fifteen.
  await passAll(20);
  expect(atServer()?.messages).toBe(PER_MINUTE);
  if (restarts) await clock.passUntil(service.close());
  await clock.setRedis(45 * SECOND);
  if (restarts) service = await startService(config, pino({ level: 'silent' }));
  for (let number = 0; number < 3; number += 1) await sendTo(`second${number}@fabrikam.com`);
  await passAll(30);
  expect(atServer()).toMatchObject({ throttleReplies: 0, messages: PER_MINUTE });
  await passAll(50);
  expect(atServer()).toMatchObject({ throttleReplies: 0, messages: PER_MINUTE + 3 });
});

it('what is to go tomorrow stays although the clock of the whole machine is set ahead by two days, and all starts anew', async () => {
  await using redis = await startTestRedis();
  await using clock = await standInForTheClock(redis.url);
  await using sandbox = await startSandbox();
  const auth = { type: 'password' as const, password: sandbox.mailboxes[0]?.password ?? '' };
  const config = settled(redis.url, [{ ...mailboxOf(sandbox), auth }]);
  let service = await startService(config, pino({ level: 'silent' }));
  await using _service = { [Symbol.asyncDispose]: () => clock.passUntil(service.close()) };
  const { sendTo, read } = client(() => service.url ?? '', sandbox.mailboxes[0]?.address ?? '');
  const sendAt = new Date(clock.now() + 24 * 3_600 * SECOND).toISOString();
  const id = await sendTo('ada@fabrikam.com', { sendAt });
  for (let passed = 0; passed < 15; passed += 1) await clock.pass(SECOND);
  await clock.passUntil(service.close());
  vi.setSystemTime(clock.now() + 48 * 3_600 * SECOND);
  await clock.setRedis(0);
  service = await startService(config, pino({ level: 'silent' }));
  for (let passed = 0; passed < 15; passed += 1) await clock.pass(SECOND);
  expect((await read(id)).status).toBe('scheduled');
});
