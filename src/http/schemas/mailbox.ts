import { z } from 'zod';
import { characterUnfitForName } from '../../mail/characters.ts';
import { STATUSES, type Status } from '../../mail/status.ts';
import { checkedBy } from './checked-by.ts';
import { failure, time } from './message.ts';

const count = z.int().min(0).optional();
export const counts = z.looseObject(
  Object.fromEntries((Object.keys(STATUSES) as Status[]).map((status) => [status, count])) as Record<
    Status,
    typeof count
  >,
);

const lane = {
  state: z.enum(['open', 'held']),
  hold: z
    .looseObject({
      failure,
      since: time,
      nextProbeAt: time.optional().meta({ description: 'When one message tries out whether it is over.' }),
      probes: z.int().meta({ description: 'Tries so far.' }),
      byOperator: z.boolean().meta({ description: 'Set by a person, and ended by one.' }),
    })
    .optional()
    .meta({ description: 'Why it sends nothing.' }),
  messages: counts.meta({
    description:
      'Number of its messages by status, finished ones since the beginning. What waits while it is held reads as `held`.',
  }),
};

/** A `MailboxView`. */
export const mailbox = z
  .looseObject({
    id: z.string(),
    from: z.array(z.string()).meta({ description: 'What it may send as: addresses, or `*@domain`.' }),
    ...lane,
    waiting: z
      .looseObject({
        count: z.int().min(0),
        driven: z.boolean().optional().meta({
          description:
            'Whether a worker process drives the mailbox, if anything waits. Where it stays false for more than a few seconds, no worker runs, or none has this mailbox in its configuration.',
        }),
        estimatedLastSendAt: time.optional().meta({
          description:
            'About when the last of them should go, by the pace and by the recipients of a day, if each message has one; `deferred` ones may have to wait longer for their own time. Absent while the mailbox is held, or not driven.',
        }),
      })
      .meta({ description: 'The messages that wait for their turn; `scheduled` ones are not among them yet.' }),
    window: z
      .looseObject({
        seconds: z.number(),
        limit: z.int(),
        left: z.int(),
        nextFreeAt: time.optional().meta({ description: 'If none could go now: when the next one can.' }),
      })
      .meta({
        description:
          'The pace as configured, a sliding window: how many messages go in any so many seconds, and how many could go now.',
      }),
    day: z.looseObject({ limit: z.int(), left: z.int() }).meta({ description: 'Recipients in any 24 hours.' }),
    limits: z
      .looseObject({ connections: z.int(), recipientsPerMessage: z.int(), messageBytes: z.int() })
      .meta({ description: 'Its other limits, as configured.' }),
    test: z.looseObject(lane).optional().meta({
      description:
        'The same of messages of test keys, which go into the sandbox and are counted nowhere else. Absent where there was none.',
    }),
  })
  .meta({ id: 'Mailbox', description: 'A mailbox as an operator reads it.' });

export const mailboxList = z.looseObject({ mailboxes: z.array(mailbox) }).meta({ id: 'MailboxList' });

export const holdRequest = z
  .strictObject({
    reason: z
      .string()
      .max(200, { error: 'A reason has at most 200 characters.' })
      .superRefine(checkedBy(unfitReason))
      .default('')
      .meta({ description: 'Why, for whoever reads the held messages.', example: 'The tenant is being migrated.' }),
  })
  .meta({ id: 'HoldRequest' });

/** It stands within a sentence that others read. */
function unfitReason(reason: string): string | undefined {
  const unfit = characterUnfitForName(reason);
  return unfit && `The reason contains ${unfit}; remove it.`;
}
