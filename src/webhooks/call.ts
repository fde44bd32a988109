import http, { type IncomingMessage } from 'node:http';
import https from 'node:https';
import type { LookupFunction } from 'node:net';
import type { Call, CallResult } from '../gateway/webhook.ts';
import { type Destination, destinationOf, type Resolve, type ResolvedAddress, resolveBySystem } from './destination.ts';
import type { WebhookPolicy } from './policy.ts';
import { reasonOf } from './reason.ts';
import { signedHeaders } from './signature.ts';

export interface CallOptions {
  policy: WebhookPolicy;
  /** Of Postroom, for the User-Agent. */
  version: string;
  resolve?: Resolve;
  /** From the name's look-up to the answer; 15 s if absent. */
  timeoutMilliseconds?: number;
  /** PEM; trusted instead of the usual authorities. */
  ca?: string;
}

const USUAL_TIMEOUT = 15_000;
/** What is read of an answer, and what is kept of it. */
const MOST_READ = 4_096;
const MOST_KEPT = 200;

type Ready = Exclude<Destination, { refused: string }>;
interface Answer {
  httpStatus: number;
  retryAfter?: string;
  response: string;
}

/**
 * Makes what calls endpoints. Each call resolves and checks anew and opens a connection of its own, so that none goes
 * where it would not be allowed now. Redirects are not followed; the certificate is checked against the URL's name.
 */
export function webhookCaller(options: CallOptions): Call {
  const { policy, resolve = resolveBySystem, timeoutMilliseconds = USUAL_TIMEOUT } = options;
  return async ({ url, eventId, secrets, body, at }) => {
    const begun = performance.now();
    const deadline = new AbortController();
    const timer = setTimeout(() => deadline.abort(), timeoutMilliseconds);
    const took = () => ({ durationMilliseconds: Math.round(performance.now() - begun) });
    try {
      const destination = await inTime(destinationOf(url, policy, resolve), deadline.signal);
      if ('refused' in destination) return { reason: destination.refused, ...took() };
      const headers = { ...signedHeaders(eventId, at, body, secrets), ...contentHeaders(options.version, body) };
      return { ...judge(await post(destination, headers, body, deadline.signal, options.ca)), ...took() };
    } catch (error) {
      const reason = deadline.signal.aborted
        ? `There was no answer within ${timeoutMilliseconds / 1000} seconds.`
        : reasonOf(error);
      return { reason, ...took() };
    } finally {
      clearTimeout(timer);
    }
  };
}

function contentHeaders(version: string, body: string): Record<string, string> {
  return {
    'content-type': 'application/json',
    'content-length': String(Buffer.byteLength(body)),
    'user-agent': `Postroom/${version}`,
  };
}

function judge({ httpStatus, retryAfter, response }: Answer): Omit<CallResult, 'durationMilliseconds'> {
  const answered = { httpStatus, ...(response && { response }) };
  if (httpStatus >= 200 && httpStatus < 300) return answered;
  if (httpStatus === 410) return { ...answered, reason: 'It answered 410 Gone: it wants no more events.' };
  if (httpStatus < 200) return { ...answered, reason: `It answered ${httpStatus}: the protocol is not changed.` };
  if (httpStatus >= 300 && httpStatus < 400)
    return { ...answered, reason: `It answered ${httpStatus}: redirects are not followed.` };
  const asked = httpStatus === 429 || httpStatus === 503 ? milliseconds(retryAfter, Date.now()) : undefined;
  return {
    ...answered,
    reason: `It answered ${httpStatus}.`,
    ...(asked !== undefined && { retryAfterMilliseconds: asked }),
  };
}

/** RFC 9110 §10.2.3: seconds, or a date. */
export function milliseconds(retryAfter: string | undefined, now: number): number | undefined {
  if (retryAfter === undefined) return undefined;
  if (/^\d{1,9}$/.test(retryAfter)) return Number(retryAfter) * 1000;
  const at = Date.parse(retryAfter);
  return Number.isNaN(at) ? undefined : Math.max(0, at - now);
}

function post(
  to: Ready,
  headers: Record<string, string>,
  body: string,
  signal: AbortSignal,
  ca?: string,
): Promise<Answer> {
  const { request } = to.url.protocol === 'https:' ? https : http;
  return new Promise((resolve, reject) => {
    let isAnswered = false;
    const asking = request(
      to.url,
      { method: 'POST', headers, agent: false, signal, lookup: answerWith(to.addresses), ...(ca && { ca }) },
      (message) => {
        isAnswered = true;
        readSome(message).then((response) => {
          const { statusCode: httpStatus = 0, headers } = message;
          const retryAfter = headers['retry-after'];
          asking.destroy();
          resolve({ httpStatus, response, ...(retryAfter !== undefined && { retryAfter }) });
        }, reject);
      },
    );
    // What goes wrong after the status takes nothing back from it.
    asking.on('error', (error) => isAnswered || reject(error));
    // Without a listener an answer that wants to change the protocol would go unheard. Its socket is nobody's any more:
    // an error of it that nobody hears would end the process.
    asking.on('upgrade', ({ statusCode: httpStatus = 101 }, socket) => {
      socket.on('error', () => undefined).destroy();
      resolve({ httpStatus, response: '' });
    });
    asking.end(body);
  });
}

/** Node asks for the addresses of a name here; it gets those that were checked. */
function answerWith(addresses: ResolvedAddress[]): LookupFunction {
  return (_host, { all }, callback) => {
    const [first] = addresses;
    if (all) callback(null, addresses);
    else callback(null, first?.address ?? '', first?.family);
  };
}

/** The status is the answer; its body is read for people, and no longer than it takes to have some of it. */
async function readSome(message: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of message as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes >= MOST_READ) break;
    }
  } catch {
    // It broke off, or the time was up: what counts came before.
  }
  return asLine(Buffer.concat(chunks).subarray(0, MOST_READ).toString('utf8'));
}

function asLine(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is taken out
  const line = text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]+/g, ' ').trim();
  return Array.from(line).slice(0, MOST_KEPT).join('');
}

function inTime<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => reject(new Error('Too late')), { once: true });
    work.then(resolve, reject);
  });
}
