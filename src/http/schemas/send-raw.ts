import { z } from 'zod';
import type { Submission } from '../../mail/message.ts';
import { parseRawMessage, type RawMessage } from '../../mail/raw-message.ts';
import { addressList, envelopeSender, MAX_RECIPIENTS } from './address.ts';
import { base64 } from './attachment.ts';
import { asSubmission, batchKey, COMPOSING_FIELDS, messageFields, sendMessage } from './send-message.ts';
import { wrongType } from './wrong-type.ts';

const content = base64.meta({
  description:
    'The whole message (RFC 5322) in base64, padded, without line breaks. Exactly one `From` with one address; lines of at most 998 octets; any line ends. `Message-ID` and `Date` are kept, or added. `Bcc` is not sent.',
  contentEncoding: 'base64',
  example: 'RnJvbTogYUBiLmV4YW1wbGUNCg0KSGVsbG8NCg==',
});

const envelope = z
  .strictObject({
    from: envelopeSender.optional().meta({ description: 'Where bounces go; the `From` of the content if absent.' }),
    to: addressList.optional().meta({
      description: 'All recipients; those of `To`, `Cc` and `Bcc` of the content if absent.',
    }),
  })
  .meta({ id: 'RawEnvelope', description: 'Who it goes to, whatever its header says.' });

const fields = z.strictObject(
  { content, envelope: envelope.optional() },
  { error: wrongType('This must be an object, as in {"content": "<the whole message in base64>"}.') },
);

export const RAW_FIELDS: Readonly<Record<string, readonly string[]>> = {
  raw: Object.keys(fields.shape),
  envelope: Object.keys(envelope.shape),
};

const raw = fields
  .transform(({ content, envelope }, context) => {
    const parsed = parseRawMessage(Buffer.from(content, 'base64'));
    const path = envelope?.to ? ['envelope', 'to'] : ['content'];
    const problem = parsed.ok ? recipientsProblem(envelope?.to ?? allOf(parsed.message)) : parsed.problem;
    if (parsed.ok && !problem) return { message: parsed.message, envelope };
    context.addIssue({ code: 'custom', path: parsed.ok ? path : ['content'], message: problem ?? '' });
    return z.NEVER;
  })
  .meta({ id: 'RawMessage', description: 'A message that the caller made, sent as it is.' });

const allOf = ({ to, cc, bcc }: RawMessage) => [...to, ...cc, ...bcc];

function recipientsProblem({ length }: readonly unknown[]): string | undefined {
  if (length === 0) return 'Give at least one recipient: in To, Cc or Bcc of the content, or in envelope.to.';
  return length > MAX_RECIPIENTS ? `There are ${length} recipients, at most ${MAX_RECIPIENTS} are allowed.` : undefined;
}

const composing = Object.fromEntries(COMPOSING_FIELDS.map((name) => [name, true])) as Record<
  (typeof COMPOSING_FIELDS)[number],
  true
>;
const rawFields = messageFields.omit(composing).extend({ raw });

/** The body of `POST /v1/messages` with a message in `raw`. */
export const sendRaw = rawFields
  .transform(({ raw, ...others }): Submission => {
    const { message, envelope } = raw;
    const { from, to, cc, bcc, subject } = message;
    const submission = asSubmission({ ...others, from, to, cc, bcc, subject });
    return { ...submission, raw: message, ...(envelope && { envelope }), bcc: hidden(submission, envelope?.to) };
  })
  .meta({ id: 'SendRawMessage', description: 'A message to send that is in MIME already.' });

/** The body of `POST /v1/messages`, in either form. */
export const sendBody = z.union([sendMessage, sendRaw]);

/** The same with a key of its own, as a batch holds it. */
export const batchRaw = rawFields
  .extend({ idempotencyKey: batchKey })
  .meta({ id: 'BatchRawMessage', description: 'A message to send that is in MIME already; see SendRawMessage.' });

/** Recipients that its header does not show. */
function hidden({ to, cc, bcc }: Submission, recipients: Submission['bcc'] | undefined): Submission['bcc'] {
  if (!recipients) return bcc;
  const shown = new Set([...to, ...cc].map(({ address }) => address));
  return recipients.filter(({ address }) => !shown.has(address));
}
