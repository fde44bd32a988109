/** Puts messages into a Redis as the API does, without the HTTP: how a bench comes by a full queue. */
import { Redis } from 'ioredis';
import { envelopeOf } from '../src/mail/envelope.ts';
import type { Submission } from '../src/mail/message.ts';
import { sharedBackends } from '../src/queue/backend.ts';
import { jobQueues } from '../src/queue/jobs.ts';
import { composeMessage } from '../src/smtp/compose.ts';
import { keysOf } from '../src/store/keys.ts';
import { messageStore } from '../src/store/messages.ts';
import { withScripts } from '../src/store/redis.ts';
import { BODY } from './support.ts';

const HOUR = 3_600_000;

function submission(from: string): Submission {
  const address = (text: string) => ({ address: text });
  return {
    from: address(from),
    to: BODY.to.map(address),
    cc: [],
    bcc: [],
    replyTo: [],
    subject: BODY.subject,
    text: BODY.text,
    html: BODY.html,
    attachments: [],
    headers: {},
    tags: BODY.tags,
    metadata: BODY.metadata,
    onUnconfirmed: 'hold',
    priority: 'normal',
  };
}

export function ownBytes(from: string): Promise<Buffer> | Buffer {
  return composeMessage(submission(from), { messageId: '<bench@contoso.com>', date: new Date() });
}

/** @param mailboxes ids, in turn; each sends as `id@contoso.com` @returns octets of one MIME */
export async function load(redisUrl: string, count: number, mailboxes: string[], named = 'load'): Promise<number> {
  const redis = withScripts(new Redis(redisUrl, { maxRetriesPerRequest: null }));
  const keys = keysOf('{postroom}');
  const messages = messageStore(redis, keys, {
    recordMilliseconds: HOUR,
    failedContentMilliseconds: HOUR,
    idempotencyMilliseconds: HOUR,
    lifetimeMilliseconds: 48 * HOUR,
  });
  const jobs = jobQueues(redis, keys.bull, sharedBackends(redis));
  const samples = new Map<string, Buffer>();
  for (const mailbox of mailboxes) samples.set(mailbox, await ownBytes(`${mailbox}@contoso.com`));
  let next = 0;
  const one = async () => {
    for (let index = next++; index < count; index = next++) {
      const mailbox = mailboxes[index % mailboxes.length] as string;
      const mime = samples.get(mailbox) as Buffer;
      const { envelope, ...known } = fixedOf(`${mailbox}@contoso.com`, mime.length);
      const id = `msg_${named}_${index}`;
      const fixed = { ...known, envelope, messageIdHeader: `<${id}@contoso.com>` };
      const writing = messages.accept({ id, callerId: 'bench', mailbox, fixed, mime });
      const adding = jobs.add(mailbox, { messageId: id, number: 1, priority: 'normal' });
      await Promise.all([writing, adding]);
    }
  };
  await Promise.all(Array.from({ length: 100 }, one));
  await jobs.close();
  redis.disconnect();
  return (samples.get(mailboxes[0] as string) as Buffer).length;
}

function fixedOf(from: string, bytes: number) {
  const { to, subject, tags, metadata } = BODY;
  const parsed = submission(from);
  const lists = { from, to, cc: [], bcc: [] };
  const rest = { onUnconfirmed: 'hold', priority: 'normal' } as const;
  return { envelope: envelopeOf(parsed), ...lists, subject, tags, metadata, bytes, ...rest };
}
