import { expect, it } from 'vitest';
import { admissionStore } from '../../src/store/admission.ts';
import { acceptAndBegin, aMessage, beginning, LEASE, leasedStore } from '../support/store.ts';

const store = leasedStore();
const admission = () => admissionStore(store.redis, store.keys);
const take = (place: string, open: string[] = [], lease = LEASE) =>
  admission().takePlace({ mailbox: 'main', place: `${lease}/${place}`, limit: 3, lease, open: ofLease(open, lease) });
const ofLease = (places: string[], lease = LEASE) => places.map((place) => `${lease}/${place}`);
const visit = (place: string) => admission().visit({ mailbox: 'main', place, limit: 3 });
const takenOver = async (lease: string) => {
  await store.mailboxes.releaseLease('main', LEASE);
  await store.mailboxes.takeLease('main', lease, 60_000);
};
const PACE = { perWindow: 2, windowMilliseconds: 400, recipientsPerDay: 3 };

it('a mailbox has as many connections as it may, the visitors’ among them', async () => {
  expect(await take('a')).toBe(true);
  expect(await visit('doctor')).toBe(true);
  expect(await take('b', ['a'])).toBe(true);
  expect(await take('c', ['a', 'b'])).toBe(false);
  expect(await visit('another')).toBe(false);
  await admission().leavePlace('main', 'doctor');
  expect(await take('c', ['a', 'b'])).toBe(true);
});

it('a place whose leaving was never heard is free once its owner says what it has open', async () => {
  for (const place of ['a', 'b', 'c']) expect(await take(place, ['a', 'b'])).toBe(true);
  expect(await take('d', ['a'])).toBe(true);
});

it('taking a place again, since the answer was lost, takes it once', async () => {
  await take('a');
  await take('a');
  expect(await store.redis.zcard(store.keys.places('main'))).toBe(1);
});

it('an owner without the lease opens nothing', async () => {
  await takenOver('owner-2');
  expect(await take('a')).toBe(false);
});

it('what the last owner had open counts on, for a while, since it may only be asleep', async () => {
  await take('a');
  await take('b', ['a']);
  await takenOver('owner-2');
  expect(await take('a', [], 'owner-2')).toBe(true);
  expect(await take('b', ['a'], 'owner-2')).toBe(false);
  const [score] = (await store.redis.zscore(store.keys.places('main'), `${LEASE}/a`))?.split('.') ?? [];
  const left = Number(score) - (await store.mailboxes.now());
  expect(left).toBeGreaterThan(60_000);
  expect(left).toBeLessThan(80_000);
  await store.redis.zadd(store.keys.places('main'), 1, `${LEASE}/a`);
  expect(await take('b', ['a'], 'owner-2')).toBe(true);
});

it('what was left while the clock was two days ahead does not count for two days once that is set right', async () => {
  const now = await store.mailboxes.now();
  await store.redis.zadd(store.keys.places('main'), now + 2 * 86_400_000, 'owner-0/a');
  expect(await take('a')).toBe(true);
  const left = Number(await store.redis.zscore(store.keys.places('main'), 'owner-0/a')) - now;
  expect(left).toBeGreaterThan(75_000);
  expect(left).toBeLessThan(700_000);
});

it('a visitor’s message takes a place of the window and a recipient of the day', async () => {
  const pace = { ...PACE, windowMilliseconds: 60_000 };
  expect(await admission().permitVisitor('main', 'doctor', pace, 1)).toBe('go');
  const { permit } = await acceptAndBegin(store, { pace });
  expect(permit.kind).toBe('go');
  const waiting = aMessage();
  await store.messages.accept(waiting);
  expect((await store.messages.begin(beginning(waiting.id, { pace }))).kind).toBe('wait');
  expect(await admission().permitVisitor('main', 'another', pace, 1)).toBeTypeOf('number');
  expect((await store.mailboxes.usage('main')).recipientsToday).toBe(2);
});

it('a visitor’s place in the window is kept until a window after its reply', async () => {
  expect(await admission().permitVisitor('main', 'doctor', PACE, 1)).toBe('go');
  const first = Number(await store.redis.zscore(store.keys.permits('main'), 'doctor'));
  await expect.poll(async () => (await store.mailboxes.now()) - first).toBeGreaterThan(-350);
  await admission().keepPermit('main', 'doctor', PACE);
  expect(Number(await store.redis.zscore(store.keys.permits('main'), 'doctor'))).toBeGreaterThan(first);
});

it('a visitor sends nothing once the day is used up', async () => {
  const pace = { ...PACE, perWindow: 100 };
  for (const token of ['a', 'b', 'c']) expect(await admission().permitVisitor('main', token, pace, 1)).toBe('go');
  expect(await admission().permitVisitor('main', 'd', pace, 1)).toBe('quota');
});
