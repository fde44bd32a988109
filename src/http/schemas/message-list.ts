import { z } from 'zod';
import { positionOf } from '../../gateway/position.ts';
import { counts } from './mailbox.ts';
import { category, listedMessage, status } from './message.ts';
import { withoutPattern } from './time.ts';

const MAX_PAGE = 100;
const MAX_RETRIED = 1_000;
const MAX_CURSOR = 200;

const CURSOR = 'This must be the `next` of an earlier answer.';
const STATUS = `This must be one of ${status.options.join(', ')}; of several, give each as a parameter of its own.`;
const CATEGORY = `This must be one of ${category.options.join(', ')}.`;
const TIME = 'This must be a time with seconds and an offset, as in 2026-01-31T09:30:00Z (RFC 3339).';
const TIME_IN_QUERY = `${TIME} In a query, + is written as %2B.`;

const TEST = '`true`: only messages of test keys; `false`: only the others.';

const TEST_RETRIED =
  '`true`: only messages of test keys; else only the others. A test key has none but its own, and need not say so.';

const wholeNumber = (most: number) => `This must be a whole number from 1 to ${most}.`;
const text = (most: number) =>
  z
    .string()
    .min(1, { error: 'This is empty; give a value, or leave it out.' })
    .max(most, { error: `This has more than ${most} characters.` })
    .optional();
const time = (error: string, description: string) =>
  z.iso.datetime({ offset: true, precision: null, error }).optional().meta({ override: withoutPattern, description });

const after = z
  .string()
  .refine((cursor) => cursor.length <= MAX_CURSOR && positionOf(cursor) !== undefined, { error: CURSOR })
  .optional()
  .meta({ maxLength: MAX_CURSOR, description: 'The `next` of the answer before.' });

/** What a list and a retry of many may be narrowed by; all that is given must hold. */
function filters(timeError: string) {
  return {
    mailbox: text(200).meta({ description: 'Id of the mailbox that sends it.' }),
    recipient: text(320).meta({ description: 'An address in `to`, `cc` or `bcc`, in any case.' }),
    tag: text(64).meta({ description: 'One of its `tags`.' }),
    category: z
      .enum(category.options, { error: CATEGORY })
      .optional()
      .meta({ description: 'Category of its present `failure`.' }),
    createdAfter: time(timeError, 'Accepted at this time or later.'),
    createdBefore: time(timeError, 'Accepted before this time.'),
    after,
  };
}

const pageLimit = wholeNumber(MAX_PAGE);

/** The query of `GET /v1/messages`; its `status` is an array, also where it is given once. */
export const listQuery = z.strictObject({
  limit: z.coerce
    .number({ error: pageLimit })
    .int({ error: pageLimit })
    .min(1, { error: pageLimit })
    .max(MAX_PAGE, { error: pageLimit })
    .default(20)
    .meta({ description: 'At most so many.' }),
  status: z
    .array(z.enum(status.options, { error: STATUS }))
    .max(status.options.length, { error: 'Give each status once.' })
    .optional()
    .meta({ description: 'Where it stands; given several times, any of them.' }),
  test: z
    .enum(['true', 'false'], { error: 'This must be true or false.' })
    .transform((given) => given === 'true')
    .optional()
    .meta({ description: TEST }),
  ...filters(TIME_IN_QUERY),
});

/** A `MessagePage`. */
export const messagePage = z
  .looseObject({
    messages: z.array(listedMessage).meta({ description: 'Newest first.' }),
    next: z.string().optional().meta({ description: 'Give it as `after` to go on; absent at the end.' }),
  })
  .meta({ id: 'MessagePage' });

const retryLimit = wholeNumber(MAX_RETRIED);

/** The body of `POST /v1/messages/retry`. */
export const retryRequest = z
  .strictObject({
    status: z
      .array(z.enum(['failed', 'unconfirmed'], { error: 'This must be "failed" or "unconfirmed".' }))
      .min(1, { error: 'Name at least one status, or leave it out.' })
      // Not `max`, which would complain about the length of a string as well.
      .refine((statuses) => statuses.length <= 2, { error: 'Give each status once.' })
      .default(['failed'])
      .meta({
        maxItems: 2,
        description: 'Those that are `unconfirmed` are sent again only if you say so: they may arrive twice.',
      }),
    test: z
      .boolean({ error: 'This must be true or false, without quotation marks.' })
      .optional()
      .meta({ description: TEST_RETRIED }),
    limit: z
      .int({ error: retryLimit })
      .min(1, { error: retryLimit })
      .max(MAX_RETRIED, { error: retryLimit })
      .default(100)
      .meta({ description: 'At most so many.' }),
    ...filters(TIME),
  })
  .meta({ id: 'RetryRequest', description: 'Which messages to send again; all that is given must hold.' });

const count = z.int().min(0);

/** A `Retried`. */
export const retried = z
  .looseObject({
    retried: count.meta({ description: 'So many are queued again.' }),
    notRetried: z
      .looseObject({
        contentGone: count.meta({ description: 'Their content is not kept any more.' }),
        notAllowed: count.meta({ description: 'They may not go to one of their recipients any more.' }),
        tooLate: count.meta({ description: 'They had changed meanwhile.' }),
      })
      .meta({ description: 'Found, but not sent again.' }),
    next: z.string().optional().meta({ description: 'Give it as `after` to go on; absent when no more can match.' }),
  })
  .meta({ id: 'Retried' });

/** A `MessageCounts`. */
export const messageCounts = z
  .looseObject({
    statuses: counts.meta({ description: 'Number of messages by status.' }),
    mailboxes: z
      .array(z.looseObject({ mailbox: z.string(), statuses: counts }))
      .meta({ description: 'The same for each mailbox.' }),
    test: z
      .looseObject({
        statuses: counts,
        mailboxes: z.array(z.looseObject({ mailbox: z.string(), statuses: counts })),
      })
      .optional()
      .meta({ description: 'The same of messages of test keys, which are counted nowhere else; only for `operate`.' }),
  })
  .meta({ id: 'MessageCounts' });
