import { type Answer, at, isObject, type Operation, validator } from './document.ts';

const validate = validator(true);

export interface Answered {
  status: number;
  headers: Headers;
  text: string;
}

/** Which answers of which operations were met: `sendMessage 202`. */
export const met = new Set<string>();

/** @returns what the document does not say of this answer; empty if it says all of it */
export function judge(operation: Operation, answered: Answered): string[] {
  const { status, headers, text } = answered;
  const declared = operation.responses[status];
  if (!declared) return [`${status} is not declared: ${text.slice(0, 200)}`];
  met.add(`${operation.operationId} ${status}`);
  const pointer = operation.pointer + at('responses', String(status));
  return [...bodyComplaints(declared, pointer, answered), ...headerComplaints(declared, headers, status)];
}

function bodyComplaints({ content }: Answer, pointer: string, { status, headers, text }: Answered): string[] {
  const [type = ''] = (headers.get('content-type') ?? '').split(';');
  if (!content) return text === '' ? [] : [`${status} has a body, and none is declared`];
  if (!content[type]) return [`${status} is ${type || 'of no type'}, declared are ${Object.keys(content)}`];
  if (type === 'text/event-stream') return [];
  const body: unknown = JSON.parse(text);
  const wrong = validate(pointer + at('content', type, 'schema'), body);
  return [...(wrong ? [`${status} ${wrong}: ${text.slice(0, 300)}`] : []), ...problemComplaints(body, status, headers)];
}

/** What no schema can say: that a problem agrees with its answer. */
function problemComplaints(body: unknown, status: number, headers: Headers): string[] {
  if (status < 400 || !isObject(body) || !('code' in body)) return [];
  if (body.status !== status) return [`the problem says ${body.status}, its answer ${status}`];
  const id = headers.get('x-request-id');
  return body.requestId === id ? [] : [`the problem has the requestId ${body.requestId}, its answer ${id}`];
}

function headerComplaints({ headers: declared = {} }: Answer, headers: Headers, status: number): string[] {
  const unsaid = ['location', 'retry-after', 'etag', 'idempotent-replayed', 'ratelimit', 'ratelimit-policy']
    .filter((name) => headers.has(name))
    .filter((name) => !Object.keys(declared).some((each) => each.toLowerCase() === name));
  return unsaid.map((name) => `${status} has ${name}, which is not declared`);
}
