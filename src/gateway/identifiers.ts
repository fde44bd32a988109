import { randomBytes } from 'node:crypto';

const CROCKFORD = '0123456789abcdefghjkmnpqrstvwxyz';

/**
 * A message's id: `msg_`, ten characters of time and sixteen of chance (80 bits), so that ids sort by age and cannot be
 * guessed. It may be part of a BullMQ job id, which must not contain a colon.
 */
export function newMessageId(now: Date): string {
  return newId('msg', now);
}

/** The same for other things, each with a prefix of its own. */
export function newId(prefix: string, now: Date): string {
  return `${prefix}_${timePart(now.getTime())}${chancePart()}`;
}

function timePart(milliseconds: number): string {
  let rest = milliseconds;
  let text = '';
  for (let i = 0; i < 10; i += 1) {
    text = CROCKFORD[rest % 32] + text;
    rest = Math.floor(rest / 32);
  }
  return text;
}

function chancePart(): string {
  return Array.from(randomBytes(16), (byte) => CROCKFORD[byte % 32]).join('');
}
