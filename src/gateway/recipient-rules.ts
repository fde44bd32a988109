import type { MessageRecord, Submission } from '../mail/message.ts';
import { isAmong } from './address-rule.ts';
import type { Caller, FieldError } from './api.ts';

/** No answer lists more; who sends to a thousand wrong recipients has one thing to correct. */
const MAX_TOLD = 10;

type Recipients = Pick<Submission, 'to' | 'cc' | 'bcc' | 'raw' | 'envelope'>;

/**
 * The recipients that a message may not go to: by the list of its caller's key, or by that of the installation, which
 * does not concern test mail since that reaches nobody.
 *
 * @param installation addresses in lower case, or `*@domain`; all if absent
 */
export function barredRecipients(
  installation: readonly string[] | undefined,
  caller: Pick<Caller, 'to' | 'test'>,
  recipients: Recipients,
): FieldError[] {
  return barredAmong(caller.test ? undefined : installation, caller.to, () => placed(recipients));
}

/**
 * The same for what is to be sent again, by the lists as they are now: of the installation, and of the key that asks.
 *
 * @returns what is wrong with the first recipient that is barred, if one is
 */
export function barredFromRetry(
  installation: readonly string[] | undefined,
  caller: Pick<Caller, 'to'>,
  { recipients, test }: Pick<MessageRecord, 'recipients' | 'test'>,
): string | undefined {
  const left = () => recipients.filter(({ status }) => status !== 'sent').map(({ address }) => ['', address] as const);
  return barredAmong(test ? undefined : installation, caller.to, left)[0]?.message;
}

function barredAmong(
  everybodys: readonly string[] | undefined,
  keys: readonly string[] | undefined,
  recipients: () => Iterable<readonly [pointer: string, address: string]>,
): FieldError[] {
  if (!keys && !everybodys) return [];
  const errors: FieldError[] = [];
  for (const [pointer, address] of recipients()) {
    const own = keys && !isAmong(keys, address);
    const barred = own || (everybodys && !isAmong(everybodys, address));
    if (barred) errors.push({ pointer, message: own ? notForKey(address, keys) : notFromHere(address, everybodys) });
    if (errors.length === MAX_TOLD) break;
  }
  return errors;
}

/** Each with where it stands in the body. */
function placed({ to, cc, bcc, raw, envelope }: Recipients): [string, string][] {
  const at = (pointer: string, addresses: { address: string }[]) =>
    addresses.map(({ address }): [string, string] => [pointer, address]);
  if (envelope?.to) return at('/raw/envelope/to', envelope.to);
  if (raw) return at('/raw', [...to, ...cc, ...bcc]);
  return [...at('/to', to), ...at('/cc', cc), ...at('/bcc', bcc)];
}

function notForKey(address: string, rules: readonly string[] = []): string {
  return `This API key may not send to ${address}, only to ${someOf(rules)}. Use another recipient, or ask an operator to add it to the key's to list.`;
}

function notFromHere(address: string, rules: readonly string[] = []): string {
  return `This installation sends to ${someOf(rules)} only, not to ${address}. Use another recipient, or ask its operator (POSTROOM_ALLOW_TO).`;
}

function someOf(rules: readonly string[]): string {
  return `${rules.slice(0, 5).join(', ')}${rules.length > 5 ? ', …' : ''}`;
}
