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
  const seconds = Math.max(1, inSeconds(charge.retryMilliseconds));
  sendProblem(reply, 'rate_limited', { headers: { 'retry-after': String(seconds) } });
  return false;
}

/**
 * draft-ietf-httpapi-ratelimit-headers-10 §3 and §4: a quota of `q` for any `w` seconds, which here are those in which
 * a whole burst grows back; `r` of it is left, and all of it again in `t` seconds.
 */
function rateHeaders({ perMinute, burst }: Rate, { left, resetMilliseconds }: Charge): Record<string, string> {
  return {
    'ratelimit-policy': `"key";q=${burst};w=${Math.ceil((burst * 60) / perMinute)}`,
    ratelimit: `"key";r=${left};t=${inSeconds(resetMilliseconds)}`,
  };
}

const inSeconds = (milliseconds: number) => Math.ceil(milliseconds / 1000);
