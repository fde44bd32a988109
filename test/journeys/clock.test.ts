import { pino } from 'pino';
import { expect, it } from 'vitest';
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
