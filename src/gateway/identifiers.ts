import { randomFillSync } from 'node:crypto';

const CROCKFORD = '0123456789abcdefghjkmnpqrstvwxyz';
const TIME_LENGTH = 10;
const CHANCE_LENGTH = 16;

/**
 * A message's id: `msg_`, ten characters of time and sixteen of chance (80 bits), so that ids sort by age and cannot be
 * guessed. It may be part of a BullMQ job id, which must not contain a colon.
 */
export function newMessageId(now: Date): string {
  return newId('msg', now);
}

/** When it was made, in milliseconds since the epoch, by its ten characters of time; undefined where it has none. */
export function timeOfId(id: string): number | undefined {
  const [, characters] = /^[a-z]+_([0-9a-hjkmnp-tv-z]{10})/.exec(id) ?? [];
  if (characters === undefined) return undefined;
  return [...characters].reduce((time, each) => time * 32 + CROCKFORD.indexOf(each), 0);
}

/** The same for other things, each with a prefix of its own. */
export function newId(prefix: string, now: Date): string {
  return `${prefix}_${timePart(now.getTime())}${chancePart()}`;
}

export const KEY_ID_PREFIX = 'key_';

/** The same for an API key. */
export function newKeyId(now: Date): string {
  return `${KEY_ID_PREFIX}${timePart(now.getTime())}${chancePart()}`;
}

function timePart(milliseconds: number): string {
  let rest = milliseconds;
  let text = '';
  for (let i = 0; i < TIME_LENGTH; i += 1) {
    text = CROCKFORD.charAt(rest % 32) + text;
    rest = Math.floor(rest / 32);
  }
  return text;
}

/** Asked for in advance: each request to the system's generator costs more than what is made of its answer. */
const chance = Buffer.alloc(CHANCE_LENGTH * 256);
let used = chance.length;

function chancePart(): string {
  if (used === chance.length) {
    randomFillSync(chance);
    used = 0;
  }
  let text = '';
  for (const end = used + CHANCE_LENGTH; used < end; used += 1) text += CROCKFORD.charAt((chance[used] as number) % 32);
  return text;
}
