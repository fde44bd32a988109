import type { FastifyInstance } from 'fastify';
import type { Api, Metrics } from '../gateway/api.ts';

/** Metrics in Prometheus's text format 0.0.4, for a key with `operate`. Cheap: what they tell was counted as it happened. */
export function metricsRoute(scope: FastifyInstance, api: Api): void {
  scope.get('/metrics', {
    config: { permissions: ['operate'] },
    schema: { hide: true },
    handler: async (_request, reply) =>
      reply
        .type('text/plain; version=0.0.4; charset=utf-8')
        .serializer(String)
        .send(render(await api.metrics())),
  });
}

function render({ messages, holds, driven, webhooks }: Metrics): string {
  const { rss, heapUsed } = process.memoryUsage();
  return [
    ...family(
      'postroom_messages',
      'gauge',
      'Messages by mailbox and status; finished ones since the beginning. Those of a held mailbox are queued or deferred.',
    ),
    ...messageLines('postroom_messages', messages.filter(isReal)),
    ...family('postroom_holds', 'gauge', 'Holds in force, by what they stop and why.'),
    ...holdLines('postroom_holds', holds.filter(isReal)),
    ...family(
      'postroom_mailbox_driven',
      'gauge',
      'Of mailboxes with messages to send: 1 if a worker drives it, else 0.',
    ),
    ...driven.map(({ mailbox, driven: is }) => line('postroom_mailbox_driven', { mailbox }, is ? 1 : 0)),
    // Families of their own, not a label: a sum over the real ones must never count what a team tries out.
    ...family('postroom_test_messages', 'gauge', 'The same of test keys, whose mail goes into the sandbox.'),
    ...messageLines('postroom_test_messages', messages.filter(isTest)),
    ...family('postroom_test_holds', 'gauge', 'Holds in force on the mail of test keys.'),
    ...holdLines('postroom_test_holds', holds.filter(isTest)),
    ...family('postroom_webhook_outbox', 'gauge', 'Changes of messages that wait to become events of webhooks.'),
    line('postroom_webhook_outbox', {}, webhooks.outbox),
    ...family('postroom_webhook_events_dropped_total', 'counter', 'Events that a webhook was never told, by reason.'),
    ...Object.entries(webhooks.dropped).map(([reason, count]) =>
      line('postroom_webhook_events_dropped_total', { reason }, count),
    ),
    ...family('process_resident_memory_bytes', 'gauge', 'Memory of this process.'),
    line('process_resident_memory_bytes', {}, rss),
    ...family('nodejs_heap_size_used_bytes', 'gauge', 'JavaScript memory of this process.'),
    line('nodejs_heap_size_used_bytes', {}, heapUsed),
    '',
  ].join('\n');
}

const isTest = ({ test }: { test?: true }) => test === true;
const isReal = (counted: { test?: true }) => !isTest(counted);

function messageLines(name: string, messages: Metrics['messages']): string[] {
  return messages.map(({ mailbox, status, count }) => line(name, { mailbox, status }, count));
}

function holdLines(name: string, holds: Metrics['holds']): string[] {
  return holds.map(({ key, code }) => line(name, { key, code }, 1));
}

function family(name: string, type: string, help: string): string[] {
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`];
}

function line(name: string, labels: Record<string, string>, value: number): string {
  const told = Object.entries(labels).map(([key, text]) => `${key}="${escaped(text)}"`);
  return `${name}${told.length > 0 ? `{${told.join(',')}}` : ''} ${value}`;
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
