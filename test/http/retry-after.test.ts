import { expect, test } from 'vitest';
import { retryAfter } from '../../src/http/retry-after.ts';

const NOW = Date.parse('2026-01-31T09:30:00.000Z');
const createdAt = '2026-01-31T09:30:00.000Z';

test.each([
  ['goes at once', '1', { status: 'queued', estimatedSendAt: createdAt }],
  ['has two windows of others before it', '120', { status: 'queued', estimatedSendAt: '2026-01-31T09:32:00.000Z' }],
  ['is being sent', '1', { status: 'sending' }],
  ['waits for its time', '90', { status: 'scheduled', sendAt: '2026-01-31T09:31:30.000Z' }],
  ['waits for tomorrow', '3600', { status: 'scheduled', sendAt: '2026-02-01T09:30:00.000Z' }],
  ['had waited for its time', '1', { status: 'queued', sendAt: '2026-01-31T09:00:00.000Z' }],
  ['is tried again', '301', { status: 'deferred', nextAttemptAt: '2026-01-31T09:35:00.001Z' }],
  ['should have gone by now', '1', { status: 'queued', estimatedSendAt: '2026-01-31T09:29:00.000Z' }],
  ['is held, nobody knows for how long', '1', { status: 'held' }],
  ['was sent', undefined, { status: 'sent' }],
] as const)('it is worth looking at a message that %s after %s', (_what, seconds, message) => {
  expect(retryAfter({ createdAt, ...message }, () => NOW)).toBe(seconds);
});
