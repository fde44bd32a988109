import type { Failure } from '../failure/failure.ts';
import type { Submission } from '../mail/message.ts';
import { testLaneOf } from '../mail/test-lane.ts';
import { type AcceptTools, type Prepared, prepare } from './accept.ts';
import type { Caller, Refused } from './api.ts';
import { estimateSendAt } from './estimate.ts';
import type { MailboxStore } from './ports.ts';
import { lastingHold, rfc3339 } from './view.ts';

/** What would become of a message if it were sent now. Times are RFC 3339 UTC. */
export interface MessagePreview {
  /** How it would read at first. */
  status: 'queued' | 'scheduled' | 'held';
  mailbox: string;
  /** Asked with a test key. */
  test?: true;
  /** Addresses of the envelope. */
  recipients: string[];
  sizeBytes: number;
  sendAt?: string;
  estimatedSendAt?: string;
  /** Why it would be held. */
  failure?: Failure;
}

export interface Preview {
  kind: 'preview';
  preview: MessagePreview;
}

export type PreviewTools = AcceptTools & { mailboxes: Pick<MailboxStore, 'counts' | 'holdsOf' | 'usage'> };

/** Does all that accepting does before it promises anything, and then looks at the lane instead of entering it. */
export async function previewMessage(
  tools: PreviewTools,
  caller: Caller,
  submission: Submission,
): Promise<Preview | Refused> {
  const prepared = await prepare(tools, caller, submission, tools.headroom.wouldChoose);
  if (prepared.kind === 'refused') return prepared;
  const { sender, envelope, mime } = prepared;
  const preview: MessagePreview = {
    ...(await outlook(tools, caller, prepared)),
    mailbox: sender.id,
    ...(caller.test && { test: true }),
    recipients: envelope.recipients,
    sizeBytes: mime.length,
  };
  return { kind: 'preview', preview };
}

type Outlook = Pick<MessagePreview, 'status' | 'sendAt' | 'estimatedSendAt' | 'failure'>;

async function outlook(
  { mailboxes, now }: PreviewTools,
  caller: Caller,
  { sender, sendAt }: Prepared,
): Promise<Outlook> {
  if (sendAt !== undefined) return { status: 'scheduled', sendAt: rfc3339(sendAt) };
  const lane = caller.test ? testLaneOf(sender.id) : sender.id;
  const [holds, counts, usage] = await Promise.all([
    mailboxes.holdsOf(lane),
    mailboxes.counts(lane),
    mailboxes.usage(lane),
  ]);
  const hold = lastingHold(holds);
  if (hold) return { status: 'held', failure: hold.failure };
  const ahead = (counts.queued ?? 0) + (counts.deferred ?? 0);
  const { inWindow, nextFreeAt, recipientsToday: used } = usage;
  const day = { perDay: sender.recipientsPerDay, used };
  const use = nextFreeAt === undefined ? undefined : { taken: inWindow, nextFreeAt };
  return { status: 'queued', estimatedSendAt: rfc3339(estimateSendAt(ahead, sender.pace, now().getTime(), use, day)) };
}
