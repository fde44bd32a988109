import { domainOf } from '../mail/address.ts';
import type { Submission } from '../mail/message.ts';
import type { Sender } from './accept.ts';

export type Allowed =
  | { ok: true; senders: Sender[] }
  | { ok: false; code: 'sender_not_allowed' | 'mailbox_not_allowed'; pointer: string; message: string };

/** The mailboxes that may send a message: the one it names, or those that name its From, or else its From's domain. */
export function sendersFor(
  senders: Sender[],
  { from: { address }, mailbox }: Pick<Submission, 'from' | 'mailbox'>,
): Allowed {
  const from = address.toLowerCase();
  const named = senders.filter((sender) => sender.from.includes(from));
  if (named.length > 0 && mailbox === undefined) return { ok: true, senders: named };
  const anyAtDomain = `*@${domainOf(from)}`;
  const atDomain = senders.filter((sender) => sender.from.includes(anyAtDomain));
  if (named.length + atDomain.length === 0)
    return { ok: false, code: 'sender_not_allowed', pointer: '/from', message: noSender(address) };
  if (mailbox === undefined) return { ok: true, senders: atDomain };
  const chosen = [...named, ...atDomain].find(({ id }) => id === mailbox);
  if (chosen) return { ok: true, senders: [chosen] };
  return { ok: false, code: 'mailbox_not_allowed', pointer: '/mailbox', message: notThis(address) };
}

/** By name or by domain. */
export function maySendAs({ from }: Sender, address: string): boolean {
  const wanted = address.toLowerCase();
  return from.includes(wanted) || from.includes(`*@${domainOf(wanted)}`);
}

function noSender(from: string): string {
  return `No mailbox of this gateway may send as ${from}. Use another from, or ask the operator to add it to a mailbox's from list.`;
}

function notThis(from: string): string {
  return `No mailbox of this id may send as ${from}. Use another, or leave it out: then one is chosen by from.`;
}
