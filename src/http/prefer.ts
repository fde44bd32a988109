import type { FastifyRequest } from 'fastify';

/** The first `wait` of a Prefer header (RFC 7240 §2, §4.3), whose value is whole seconds, quoted or not. */
const WAIT = /(?:^|,)[\t ]*wait[\t ]*=[\t ]*("?)(\d{1,9})\1[\t ]*(?=$|[,;])/i;

/** Longer, and an intermediary closes the connection before we answer. */
export const MAX_WAIT_SECONDS = 60;

/**
 * How long the caller prefers to wait, in seconds, for whoever writes the standard header instead of `?wait=`. A
 * preference that is too large is granted as far as it goes, and one that makes no sense is none (RFC 7240 §2).
 */
export function preferredWait({ headers }: Pick<FastifyRequest, 'headers'>): number | undefined {
  const { prefer } = headers;
  if (prefer === undefined) return undefined;
  const seconds = WAIT.exec([prefer].flat().join(','))?.[2];
  return seconds === undefined ? undefined : Math.min(Number(seconds), MAX_WAIT_SECONDS);
}

/** Of `Preference-Applied` (RFC 7240 §3). */
export function applied(seconds: number): { 'preference-applied': string } {
  return { 'preference-applied': `wait=${seconds}` };
}
