import { Buffer } from 'node:buffer';
import type { Submission } from '../src/mail/message.ts';
import { composeMime } from '../src/smtp/mime.ts';
import { composeByNodemailer } from '../test/support/reference-composer.ts';

/**
 * What it costs to compose a message: ours beside nodemailer's MailComposer, in one run and by turns, because only the
 * ratio holds on a busy machine. `npx tsx bench/compose.ts`
 */
const ROUNDS = 9;
const FIXED = { messageId: '<bench@contoso.com>', date: new Date('2026-01-02T03:04:05Z') };

const BASE: Submission = {
  from: { address: 'billing@contoso.com', name: 'Contoso Billing' },
  to: [{ address: 'ada@example.org', name: 'Ada Lovelace' }],
  cc: [],
  bcc: [],
  replyTo: [],
  subject: 'Your invoice 2026-0042',
  attachments: [],
  headers: {},
  tags: [],
  metadata: {},
  onUnconfirmed: 'hold',
  priority: 'normal',
};

const CASES: Record<string, { submission: Submission; messages: number }> = {
  'text, 1 KB ASCII': { messages: 1000, submission: { ...BASE, text: lines('Thank you for your order.', 40) } },
  'text + HTML, 2 KB': {
    messages: 500,
    submission: {
      ...BASE,
      subject: 'Ihre Rechnung für März – 42 €',
      text: lines('Vielen Dank für Ihre Bestellung. Grüße aus München!', 16),
      html: `<!doctype html><html><body>${'<p style="margin:0 0 1em">Vielen Dank für Ihre Bestellung.</p>'.repeat(16)}</body></html>`,
    },
  },
  'text + HTML, Japanese, 6 KB': {
    messages: 300,
    submission: {
      ...BASE,
      text: lines('ご注文ありがとうございます。', 64),
      html: `<p>${'ご注文ありがとうございます。'.repeat(64)}</p>`,
    },
  },
  '500 recipients': {
    messages: 50,
    submission: {
      ...BASE,
      text: 'Hello',
      to: Array.from({ length: 500 }, (_, n) => ({ address: `person${n}@example.org`, name: `Person ${n}` })),
    },
  },
  'text + 1 MB attachment': { messages: 10, submission: withFile(1_000_000) },
  'text + 20 MB attachment': { messages: 1, submission: withFile(20_000_000) },
};

for (const [name, { submission, messages }] of Object.entries(CASES)) {
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    ours.push(await cpuMicroseconds(messages, () => composeMime(submission, FIXED, `seed${round}`)));
    theirs.push(await cpuMicroseconds(messages, () => composeByNodemailer(submission, FIXED)));
  }
  const [a, b] = [median(ours), median(theirs)];
  console.log(
    `${name.padEnd(30)} ours ${a.toFixed(0).padStart(7)} µs   MailComposer ${b.toFixed(0).padStart(7)} µs   ${(b / a).toFixed(1)}x`,
  );
}

/** CPU time per message, user and system, all threads. */
async function cpuMicroseconds(messages: number, compose: () => Buffer | Promise<Buffer>): Promise<number> {
  const before = process.cpuUsage();
  for (let n = 0; n < messages; n++) await compose();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / messages;
}

function median(figures: number[]): number {
  return figures.toSorted((a, b) => a - b)[Math.floor(figures.length / 2)] ?? Number.NaN;
}

function lines(line: string, count: number): string {
  return `${line}\n`.repeat(count);
}

function withFile(size: number): Submission {
  const content = Buffer.alloc(size, 'some bytes of a file, not all alike ÿþ');
  const file = { filename: 'report.pdf', contentType: 'application/pdf', content, disposition: 'attachment' as const };
  return { ...BASE, text: 'The report.', attachments: [file] };
}
