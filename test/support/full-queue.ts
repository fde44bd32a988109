import { Redis } from 'ioredis';
import { sharedBackends } from '../../src/queue/backend.ts';
import { jobQueues } from '../../src/queue/jobs.ts';
import { keysOf } from '../../src/store/keys.ts';
import { messageStore } from '../../src/store/messages.ts';
import { withScripts } from '../../src/store/redis.ts';
import { aMessage } from './store.ts';

const HOUR = 3_600_000;

/**
 * Puts so many messages into a Redis as the API does, without the HTTP, in the order of their numbers.
 *
 * @param mailboxOf which mailbox the message of that number is of
 * @param toOf its recipient
 * @returns their ids
 */
export async function fillQueues(
  redisUrl: string,
  count: number,
  mailboxOf: (number: number) => { id: string; address: string },
  toOf: (number: number) => string,
): Promise<string[]> {
  const redis = withScripts(new Redis(redisUrl, { maxRetriesPerRequest: null }));
  const keys = keysOf('{postroom}');
  const retention = {
    recordMilliseconds: HOUR,
    failedContentMilliseconds: HOUR,
    idempotencyMilliseconds: HOUR,
    lifetimeMilliseconds: 48 * HOUR,
  };
  const messages = messageStore(redis, keys, retention);
  const jobs = jobQueues(redis, keys.bull, sharedBackends(redis));
  const ids: string[] = [];
  let next = 0;
  const one = async () => {
    for (let number = next++; number < count; number = next++) {
      const { id: mailbox, address } = mailboxOf(number);
      const { fixed, ...usual } = aMessage({ to: [toOf(number)] });
      const envelope = { ...fixed.envelope, reversePath: address };
      const mime = Buffer.from(`From: ${address}\r\nSubject: ${number}\r\n\r\nIt works.\r\n`);
      const message = { ...usual, mailbox, mime, fixed: { ...fixed, from: address, envelope, bytes: mime.length } };
      ids.push(message.id);
      await Promise.all([
        messages.accept(message),
        jobs.add(mailbox, { messageId: message.id, number: 1, priority: 'normal' }),
      ]);
    }
  };
  await Promise.all(Array.from({ length: 50 }, one));
  await jobs.close();
  redis.disconnect();
  return ids;
}
