import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Api, Caller, Charge, Rate } from '../gateway/api.ts';
import { callerOf } from './auth.ts';
import { sendProblem } from './problem.ts';

type Charging = Pick<Api, 'charge'>;

/** An `onRequest` hook behind `authenticate`: every request of a caller that has a rate costs one unit. */
export function chargeRequests(api: Charging) {
  return (request: FastifyRequest, reply: FastifyReply, done: (error?: Error) => void): void => {
    const caller = callerOf(request);
    const charging = api.charge(caller, { units: 1 });
    if (!charging) done();
    else charging.then((charge) => void (tell(reply, caller, charge) && done()), done);
  };
}

/** Charges for what a request holds beyond the one unit it has paid. False if it was refused, and answered so. */
export async function chargeFurther(
  api: Charging,
  request: FastifyRequest,
  reply: FastifyReply,
  units: number,
): Promise<boolean> {
  const caller = callerOf(request);
  const charge = units > 0 && (await api.charge(caller, { units, further: true }));
  return charge ? tell(reply, caller, charge) : true;
}

/** Every answer says what is left. @returns false if the caller had to be refused */
function tell(reply: FastifyReply, { rate }: Caller, charge: Charge): boolean {
  if (rate) reply.headers(rateHeaders(rate, charge));
  if (charge.admitted) return true;
  sendProblem(reply, 'rate_limited', { headers: { 'retry-after': String(secondsToRetry(charge)) } });
  return false;
}

/**
 * draft-ietf-httpapi-ratelimit-headers-11 §3 and §4 (read 2026-11-27): a quota of `q` for any `w` seconds, which here are
 * those in which a whole burst grows back; no more than `r` can be used within `t` seconds. That is until all has grown
 * back, or, of what was refused, until it can be asked again: `Retry-After` must not end sooner (§6).
 */
function rateHeaders({ perMinute, burst }: Rate, charge: Charge): Record<string, string> {
  const { admitted, left, resetMilliseconds } = charge;
  return {
    'ratelimit-policy': `"key";q=${burst};w=${Math.ceil((burst * 60) / perMinute)}`,
    ratelimit: `"key";r=${left};t=${admitted ? inSeconds(resetMilliseconds) : secondsToRetry(charge)}`,
  };
}

const secondsToRetry = ({ retryMilliseconds }: Charge) => Math.max(1, inSeconds(retryMilliseconds));
const inSeconds = (milliseconds: number) => Math.ceil(milliseconds / 1000);
