import { setImmediate as turn } from 'node:timers/promises';
import { type ConnectionOptions, Queue } from 'bullmq';
import { expect, it } from 'vitest';
import { connectRedis } from '../../src/store/redis.ts';
import { startTestRedis } from '../support/redis.ts';

it('a connection bears a listener for each of many lanes without a warning, also where BullMQ has counted its own', async () => {
  await using server = await startTestRedis();
  const redis = connectRedis(server.url, 'patient', () => undefined);
  const warnings: string[] = [];
  const note = (warning: Error) => warnings.push(warning.message);
  process.on('warning', note);
  const queue = new Queue('lane', { connection: redis as unknown as ConnectionOptions });
  await queue.waitUntilReady();
  for (let lane = 0; lane < 100; lane += 1) redis.on('ready', () => undefined);
  await turn();
  process.off('warning', note);
  await queue.close();
  redis.disconnect();
  expect(warnings).toEqual([]);
});
