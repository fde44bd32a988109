import { Redis } from 'ioredis';
import { expect, it } from 'vitest';
import { keysOf } from '../../src/store/keys.ts';
import { eventually, KEY, mailboxOf, startPostroom } from '../support/postroom.ts';

const ROUNDS = 60;
/** What somebody may have written where a number, or JSON, should be. */
const NONSENSE = [
  '',
  'x',
  '-1',
  '{',
  'null',
  '[]',
  '{}',
  '1e400',
  'nan',
  '99999999999999999999',
  '"x"',
  '[null]',
  '1.5',
];
/** Whose message it is, and what became of it, is not what this is about. */
const SPARED = ['callerId', 'mailbox', 'status', 'attemptToken'];
const headers = { authorization: `Bearer ${KEY}` };

/** The same numbers from 0 up to 1 for the same seed. */
function chanceFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

it.each([
  ['fields', 1],
  ['fields', 2],
  ['fields', 3],
  ['keys', 4],
  ['keys', 5],
])(
  '%s of one mailbox that are damaged at random (%s) cost another nothing, and nobody an answer',
  { timeout: 120_000 },
  async (what, seed) => {
    const areKeys = what === 'keys';
    const chance = chanceFrom(seed);
    const one = <Each>(some: readonly Each[]): Each => some[Math.floor(chance() * some.length)] as Each;
    const names = ['damaged', 'whole'] as const;
    const logins = names.map((name) => ({ address: `${name}@contoso.com`, password: `the password of ${name}` }));
    await using postroom = await startPostroom({
      sandbox: { mailboxes: logins, limits: { messagesPerWindow: 10_000 } },
    });
    const { sandbox } = postroom;
    const mailboxes = logins.map(({ address, password }, index) => ({
      ...mailboxOf(sandbox, { messagesPerMinute: 10_000 }),
      id: names[index] as string,
      address,
      from: [address],
      auth: { type: 'password' as const, password },
    }));
    await postroom.restart({ mailboxes });
    const keys = keysOf('{postroom}');
    const redis = new Redis(postroom.redis.url);
    await using _ = { [Symbol.asyncDispose]: async () => redis.disconnect() };
    const ids: Record<(typeof names)[number], string[]> = { damaged: [], whole: [] };

    const ofMailbox = [
      ...([keys.mailbox, keys.day, keys.permits, keys.sending, keys.places] as const),
      ...([keys.scheduledOf, keys.lease, keys.owner] as const),
    ].map((key) => key('damaged'));
    const ofQueue = ['prioritized', 'active', 'delayed', 'meta'].map((key) => `${keys.bull}:damaged:${key}`);
    async function writeOver(key: string): Promise<void> {
      await redis.del(key);
      await redis.rpush(key, 'something else');
    }
    async function damage(key: string): Promise<void> {
      if ((await redis.type(key)) !== 'hash') return;
      const fields = (await redis.hkeys(key)).filter((field) => !SPARED.includes(field));
      if (fields.length === 0) return;
      if (chance() < 0.2) await redis.hdel(key, one(fields));
      else await redis.hset(key, one(fields), one(NONSENSE));
    }
    async function answers(...paths: string[]): Promise<void> {
      for (const path of paths) {
        const response = await fetch(`${postroom.url}${path}`, { headers });
        expect({ path, status: response.status, text: await response.text() }).toMatchObject({ status: 200 });
      }
    }

    for (let round = 0; round < ROUNDS; round += 1) {
      for (const name of names) {
        const later = chance() < 0.2 && { sendAt: new Date(Date.now() + 1_000).toISOString() };
        const to = ['ada@fabrikam.com', 'ben@fabrikam.com'];
        const sending = postroom.sendTo(to, { from: `${name}@contoso.com`, ...later });
        // Without its key nothing can be scheduled in it, which its caller is told.
        const id = await (areKeys && later && name === 'damaged' ? sending.catch(() => undefined) : sending);
        if (id) ids[name].push(id);
      }
      for (let time = 0; time < 3; time += 1) await damage(keys.message(one(ids.damaged.slice(-20))));
      if (areKeys && round % 5 === 0) await writeOver(one([...ofMailbox, ...ofQueue]));
      await damage(one([keys.mailbox('damaged'), keys.day('damaged')]));
      await redis.hset(keys.counts, one(['queued|damaged', 'sent|damaged', 'scheduled|damaged']), one(NONSENSE));
      if (round % 10 === 0) await redis.hset(keys.holds, 'mailbox:damaged', one(NONSENSE));
      const id = one(ids.damaged);
      await answers(`/v1/messages/${id}`, `/v1/messages/${id}/events`);
      if (round % 10 === 0) await answers('/v1/messages?limit=100', '/v1/mailboxes', '/metrics');
    }

    for (const id of ids.whole) await postroom.until(id, 'sent');
    if (areKeys) return;
    const isOver = async (id: string) =>
      ['sent', 'failed', 'partiallySent'].includes((await redis.hget(keys.message(id), 'status')) ?? '');
    for (const id of ids.damaged) {
      await redis.zadd(keys.due, 'XX', '0', id);
      await eventually(
        () => isOver(id),
        () => `${id} is not over`,
        60_000,
      );
    }
  },
);
