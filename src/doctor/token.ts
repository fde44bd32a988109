import type { Trouble } from '../failure/failure.ts';
import { type Check, fail, failBecause, ok, short, skipped, type Verdict, type Visit, warn } from './check.ts';
import { claimsIn, judgeClaims } from './claims.ts';
import type { Patient } from './patient.ts';

/** Entra ID allows five minutes; assertions and certificates fail beyond. */
const TOLERATED_SECONDS = 300;
const NOTICED_SECONDS = 30;

/** Our clock against the token endpoint's. */
export function checkClock({ login }: Patient): Check[] {
  const run = login?.type === 'clientCredentials' ? clock : () => skipped('A password needs no token endpoint.');
  return [{ id: 'clock', title: 'Clock', after: [], run }];
}

async function clock({ tools }: Visit): Promise<Verdict> {
  const answer = await tools.clock();
  if (!answer.ok) return skipped(`The token endpoint told no time: ${short(answer.reason)}.`);
  const seconds = Math.round(Math.abs(answer.aheadMilliseconds) / 1000);
  const difference = `This clock is ${seconds} s ${answer.aheadMilliseconds > 0 ? 'behind' : 'ahead of'} the token endpoint’s`;
  const remedy = 'Correct the clock of this host: switch on NTP (chrony, systemd-timesyncd).';
  if (seconds > TOLERATED_SECONDS)
    return fail(`${difference}: tokens and certificates look expired or not yet valid.`, remedy);
  if (seconds > NOTICED_SECONDS) return warn(`${difference}.`, remedy);
  return ok('Agrees with the token endpoint’s.');
}

/** An access token, and what it says of itself. */
export function checkToken({ login }: Patient): Check[] {
  const isOAuth = login?.type === 'clientCredentials';
  const only = (run: Check['run']) => (isOAuth ? run : () => skipped('The mailbox does not use OAuth.'));
  return [
    { id: 'token', title: 'Access token', after: [], run: only(token) },
    { id: 'tokenClaims', title: 'What the token says', after: ['token'], run: only(claims) },
  ];
}

async function token(visit: Visit): Promise<Verdict> {
  const answer = await visit.tools.token();
  if (!answer.ok) return without(answer.trouble, visit);
  visit.token = answer.token;
  return ok('Entra ID issued one.');
}

function without(trouble: Trouble, visit: Visit): Verdict {
  const verdict = failBecause(toldBy(trouble), trouble, visit);
  if (verdict.failure?.code !== 'tls_failed') return verdict;
  const remedy =
    'If a proxy of your own inspects HTTPS, name its authority’s certificate (PEM) in NODE_EXTRA_CA_CERTS. Verification is never switched off.';
  return { ...verdict, remedy };
}

/** Entra's own sentence, without the trace ids that follow it. */
function toldBy(trouble: Trouble): string {
  if (trouble.via === 'client') return `${short(trouble.message)}.`;
  if (trouble.via === 'smtp') return short(trouble.reply.response);
  const { httpStatus, error, description } = trouble;
  const sentence = short((description ?? '').replace(/\s*Trace ID:.*$/s, ''));
  const status = httpStatus === undefined ? '' : `HTTP ${httpStatus}`;
  return `The token endpoint answered ${[status, error].filter(Boolean).join(' ')}${sentence ? `: ${sentence}` : '.'}`;
}

function claims({ token: issued, patient: { login }, tools }: Visit): Verdict {
  const read = claimsIn(issued ?? '');
  if (!read || login?.type !== 'clientCredentials') return skipped('It is not a JWT, so that it cannot be read.');
  return judgeClaims(read, login, tools.now());
}
