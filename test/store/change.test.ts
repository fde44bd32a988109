import { expect, it } from 'vitest';
import type { Caller } from '../../src/gateway/api.ts';
import { type ChangeTools, cancelMessage, resolveMessage, retryMessage } from '../../src/gateway/change.ts';
import type { MessageRecord } from '../../src/mail/message.ts';
import { acceptAndBegin, aMessage, beginning, leasedStore } from '../support/store.ts';

const store = leasedStore();
const caller: Caller = { id: 'test', permissions: ['send'] };

/** Tools with which something happens just after a message was read. */
function toolsWith(happening: (record: MessageRecord) => Promise<unknown>): ChangeTools {
  let isFirst = true;
  return {
    messages: {
      ...store.messages,
      async find(id) {
        const record = await store.messages.find(id);
        if (isFirst && record) {
          isFirst = false;
          await happening(record);
        }
        return record;
      },
    },
    enqueue: async () => undefined,
    now: () => new Date(),
    lifetimeMilliseconds: 60_000,
  };
}

const quiet = () => toolsWith(async () => undefined);
const [ADA, BEA] = ['ada@fabrikam.com', 'bea@fabrikam.com'] as const;

/** One more attempt, after which Ada has the message and Bea does not yet, or not at all. */
async function reachAdaOnly({ id, ticket }: MessageRecord, to: 'deferred' | 'failed'): Promise<void> {
  const request = beginning(id, { ticket });
  expect(await store.messages.begin(request)).toMatchObject({ kind: 'go' });
  const recipients = [
    { address: ADA, status: 'sent' as const },
    { address: BEA, status: to },
  ];
  const moved = await store.messages.move({ id, mailbox: 'main', to, token: request.token, recipients });
  expect(moved.moved).toBe(true);
}

async function deferredToBoth(): Promise<string> {
  const message = aMessage({ to: [ADA, BEA] });
  await store.messages.accept(message);
  const request = beginning(message.id);
  await store.messages.begin(request);
  await store.messages.move({ id: message.id, mailbox: 'main', to: 'deferred', token: request.token });
  return message.id;
}

const recipientsOf = async (id: string) =>
  (await store.messages.find(id))?.recipients.map(({ address, status }) => [address, status]);

it('a cancellation does not take back what an attempt sent between its look and its word', async () => {
  const id = await deferredToBoth();
  const tools = toolsWith((record) => reachAdaOnly(record, 'deferred'));
  expect(await cancelMessage(tools, caller, id)).toEqual({ kind: 'changed' });
  expect((await store.messages.find(id))?.status).toBe('partiallySent');
  expect(await recipientsOf(id)).toEqual([
    [ADA, 'sent'],
    [BEA, 'canceled'],
  ]);
});

it('a retry that another retry and its attempt overtook goes to nobody who has the message by now', async () => {
  const { id, token } = await acceptAndBegin(store, {}, { to: [ADA, BEA] });
  await store.messages.move({ id, mailbox: 'main', to: 'failed', token });
  const tools = toolsWith(async () => {
    await retryMessage(quiet(), caller, id);
    await reachAdaOnly((await store.messages.find(id)) as MessageRecord, 'failed');
  });
  expect(await retryMessage(tools, caller, id)).toEqual({ kind: 'changed' });
  expect(await recipientsOf(id)).toEqual([
    [ADA, 'sent'],
    [BEA, 'queued'],
  ]);
});

it('a retry that comes just after somebody found out that it was sent is too late, not without content', async () => {
  const { id, token } = await acceptAndBegin(store);
  const recipients = [{ address: ADA, status: 'unconfirmed' as const }];
  await store.messages.move({ id, mailbox: 'main', to: 'unconfirmed', token, recipients });
  const tools = toolsWith(() => resolveMessage(quiet(), caller, id, 'sent'));
  expect(await retryMessage(tools, caller, id)).toEqual({ kind: 'tooLate', status: 'sent' });
});

it('a retry of a message whose content is not kept any more says so', async () => {
  const { id, token } = await acceptAndBegin(store);
  await store.messages.move({ id, mailbox: 'main', to: 'failed', token });
  await store.redis.del(store.keys.mime(id));
  expect(await retryMessage(quiet(), caller, id)).toEqual({ kind: 'contentGone' });
});

it('a retry goes to nobody who is not on the lists as they are now, of the installation and of the key that asks', async () => {
  const { id, token } = await acceptAndBegin(store, {}, { to: [ADA, BEA] });
  const recipients = [
    { address: ADA, status: 'sent' as const },
    { address: BEA, status: 'failed' as const },
  ];
  await store.messages.move({ id, mailbox: 'main', to: 'failed', token, recipients });
  const retry = (allowTo: string[], to: string[]) => retryMessage({ ...quiet(), allowTo }, { ...caller, to }, id);
  const all = ['*@fabrikam.com'];
  for (const [installation, key] of [
    [[ADA], all],
    [all, [ADA]],
  ] as const) {
    expect(await retry([...installation], [...key])).toEqual({ kind: 'barred', reason: expect.stringContaining(BEA) });
  }
  // Ada has the message already.
  expect(await retry([BEA], [BEA])).toEqual({ kind: 'changed' });
});

it('a retry of test mail does not ask the list of the installation, which reaches nobody', async () => {
  const message = aMessage({ to: [ADA] });
  message.fixed.test = true;
  await store.messages.accept(message);
  const { id } = message;
  await store.messages.begin(beginning(id, { token: id }));
  await store.messages.move({ id, mailbox: 'main', to: 'failed', token: id });
  expect(await retryMessage({ ...quiet(), allowTo: [BEA] }, caller, id)).toEqual({ kind: 'changed' });
});
