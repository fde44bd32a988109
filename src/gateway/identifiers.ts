import { randomBytes } from 'node:crypto';

const CROCKFORD = '0123456789abcdefghjkmnpqrstvwxyz';

/**
 * A message's id: `msg_`, ten characters of time and sixteen of chance (80 bits), so that ids sort by age and cannot be
 * guessed. It may be part of a BullMQ job id, which must not contain a colon.
 */
export function newMessageId(now: Date): string {
  return `msg_${timePart(now.getTime())}${chancePart()}`;
}

/** The same for an API key. */
export function newKeyId(now: Date): string {
  return `key_${timePart(now.getTime())}${chancePart()}`;
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
