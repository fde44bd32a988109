import type { FastifyReply } from 'fastify';
import type { Status } from '../mail/status.ts';

interface Definition {
  status: number;
  title: string;
  /** When it is answered, and what the caller can do. */
  description: string;
}

/** Every problem that the API answers with. A code is stable and may be branched on; titles and details may change. */
export const PROBLEMS = {
  malformed_request: {
    status: 400,
    title: 'Malformed request',
    description: 'The request is not valid HTTP, its path cannot be decoded, or its body ended early.',
  },
  invalid_json: {
    status: 400,
    title: 'Invalid JSON',
    description: 'The body is empty, not valid UTF-8, or not valid JSON.',
  },
  invalid_multipart: {
    status: 400,
    title: 'Invalid form',
    description:
      'The multipart/form-data body is broken, ended early, or has other parts than message, attachments and inline:<contentId>.',
  },
  invalid_parameter: {
    status: 400,
    title: 'Invalid parameter',
    description: 'A query parameter or a request header has an unacceptable value; errors says which.',
  },
  missing_credentials: {
    status: 401,
    title: 'Missing credentials',
    description: 'There is no API key or token. Send it as Authorization: Bearer <key>.',
  },
  invalid_credentials: {
    status: 401,
    title: 'Invalid credentials',
    description: 'The Authorization header does not hold exactly one API key or token that is known and still valid.',
  },
  insufficient_scope: {
    status: 403,
    title: 'Insufficient scope',
    description: 'The API key or token is valid, but may not do this; use one with the scope that detail names.',
  },
  from_not_allowed: {
    status: 403,
    title: 'From not allowed',
    description: 'This API key may not use this From address; errors says which ones it may use.',
  },
  recipient_not_allowed: {
    status: 403,
    title: 'Recipient not allowed',
    description:
      'This API key, or this installation, may not send to a recipient; errors names each, and whom it may send to.',
  },
  not_found: {
    status: 404,
    title: 'Not found',
    description:
      'There is nothing at this path. Messages are sent with POST /v1/messages; /openapi.json has all the others.',
  },
  message_not_found: {
    status: 404,
    title: 'Message not found',
    description: 'There is no message with this id, it has been deleted after its retention time, or it is not yours.',
  },
  method_not_allowed: {
    status: 405,
    title: 'Method not allowed',
    description: 'The path exists, but not for this method; the Allow header lists the methods it has.',
  },
  mailbox_not_found: {
    status: 404,
    title: 'Mailbox not found',
    description: 'No mailbox of this service has this id.',
  },
  key_not_found: {
    status: 404,
    title: 'Key not found',
    description: 'There is no API key with this id, or it ended so long ago that it has been forgotten.',
  },
  key_revoked: {
    status: 409,
    title: 'Key revoked',
    description: 'This API key has been revoked, and stays so. Create another one.',
  },
  webhook_not_found: {
    status: 404,
    title: 'Webhook not found',
    description: 'There is no webhook with this id, or it is not yours.',
  },
  webhook_disabled: {
    status: 409,
    title: 'Webhook disabled',
    description:
      'This webhook is disabled; enable it first with PATCH and {"disabled": false}. One that an operator has disabled only an operator can enable.',
  },
  too_many_webhooks: {
    status: 409,
    title: 'Too many webhooks',
    description: 'One caller may have only so many webhooks; detail says how many. Delete one first.',
  },
  too_late: {
    status: 409,
    title: 'Too late',
    description: 'The message is past the point at which this can be done; messageStatus says where it stands.',
  },
  content_gone: {
    status: 409,
    title: 'Content gone',
    description: 'The content of this message is not kept any more, so it cannot be sent again: submit it anew.',
  },
  examination_running: {
    status: 409,
    title: 'Examination running',
    description: 'This mailbox is being examined at the moment; ask again after Retry-After seconds.',
  },
  request_timeout: {
    status: 408,
    title: 'Request timeout',
    description: 'The request did not arrive whole within the time allowed.',
  },
  precondition_failed: {
    status: 412,
    title: 'Precondition failed',
    description:
      'The request has an If-Match, and no ETag of this service can match one: they are weak (RFC 9110 §13.1.1). Send it without; what is too late is refused anyway.',
  },
  body_too_large: {
    status: 413,
    title: 'Body too large',
    description: 'The body has more bytes than the service takes; detail says how many it takes.',
  },
  message_too_large: {
    status: 413,
    title: 'Message too large',
    description: 'The message, encoded for sending, is larger than its mailbox may send.',
  },
  unsupported_media_type: {
    status: 415,
    title: 'Unsupported media type',
    description:
      'Bodies must be application/json in UTF-8, or for one message multipart/form-data, without a Content-Encoding.',
  },
  invalid_fields: {
    status: 422,
    title: 'Invalid fields',
    description: 'Fields of the body are missing, unknown or wrong; errors names each with its JSON pointer.',
  },
  body_too_complex: {
    status: 422,
    title: 'Body too complex',
    description:
      'The body is nested too deeply or holds too many values to be a message; it was not looked at further.',
  },
  idempotency_key_reused: {
    status: 422,
    title: 'Idempotency key reused',
    description:
      'The Idempotency-Key was used before, with another body or for a message that is not kept any more; detail names the message it made.',
  },
  sender_not_allowed: {
    status: 422,
    title: 'Sender not allowed',
    description: 'No mailbox of this service may send from this address.',
  },
  mailbox_not_allowed: {
    status: 422,
    title: 'Mailbox not allowed',
    description: 'There is no mailbox of this id, or it may not send from this address.',
  },
  too_many_recipients: {
    status: 422,
    title: 'Too many recipients',
    description: 'to, cc and bcc together have more addresses than one message of this mailbox may have.',
  },
  message_refused: {
    status: 422,
    title: 'Message refused',
    description: 'The message would certainly be refused by Microsoft 365; errors says why.',
  },
  rate_limited: {
    status: 429,
    title: 'Rate limited',
    description:
      'The rate of this API key is used up for the moment. Repeat the request after Retry-After seconds; nothing was accepted.',
  },
  too_many_requests: {
    status: 429,
    title: 'Too many requests at once',
    description:
      'This caller has so many requests open that another one is not even queued. Repeat it after Retry-After seconds, and keep fewer open.',
  },
  headers_too_large: {
    status: 431,
    title: 'Headers too large',
    description: 'The request line and the header fields together are too large.',
  },
  internal_error: {
    status: 500,
    title: 'Internal error',
    description: 'Our fault. The log has the details under this requestId.',
  },
  store_unavailable: {
    status: 503,
    title: 'Storage unavailable',
    description: 'Redis cannot be reached or cannot write. Repeat the request, best with an Idempotency-Key.',
  },
  overloaded: {
    status: 503,
    title: 'Overloaded',
    description:
      'This process works on as many large bodies as it has room for. Repeat the request after Retry-After seconds.',
  },
  identity_unavailable: {
    status: 503,
    title: 'Identity provider unavailable',
    description:
      'The keys that prove the token cannot be fetched at the moment, so that nobody can say whether it is good. Repeat the request.',
  },
  shutting_down: {
    status: 503,
    title: 'Shutting down',
    description: 'This process is about to stop and takes no new requests. Repeat the request.',
  },
} as const satisfies Record<string, Definition>;
export type ProblemCode = keyof typeof PROBLEMS;

/** What is wrong, and where: a JSON pointer into the body, a request header, or a query parameter. */
export type ProblemItem = { message: string } & ({ pointer: string } | { header: string } | { parameter: string });

/** The body of an error answer: RFC 9457 §3, with members of ours. */
export interface ProblemBody {
  type: string;
  title: string;
  status: number;
  detail: string;
  code: ProblemCode;
  errors?: ProblemItem[];
  /** Where the message stands, if that is the reason. */
  messageStatus?: Status;
  requestId: string;
}

/** What varies between two problems of the same code. */
export interface Particulars {
  /** One sentence about this occurrence; else the description of the code. */
  detail?: string;
  errors?: ProblemItem[];
  messageStatus?: Status;
  headers?: Record<string, string>;
}

/** Thrown where only the error handler can answer: while the body is read, or by a validator. */
export class ProblemError extends Error {
  override readonly name = 'ProblemError';
  readonly problem: ProblemCode;
  readonly particulars: Particulars;
  constructor(problem: ProblemCode, particulars: Particulars = {}) {
    super(particulars.detail ?? PROBLEMS[problem].description);
    this.problem = problem;
    this.particulars = particulars;
  }
}

/**
 * The `type` of a problem: a path of this service (`GET /problems/{code}` explains it), so that it reads the same in
 * every installation. RFC 9457 §3.1.1 allows a relative reference and recommends the full path.
 */
export function problemType(code: ProblemCode): string {
  return `/problems/${code}`;
}

export function problemBody(
  code: ProblemCode,
  requestId: string,
  { detail, errors, messageStatus }: Particulars = {},
): ProblemBody {
  const { status, title, description } = PROBLEMS[code];
  const base = { type: problemType(code), title, status, detail: detail ?? description, code };
  return {
    ...base,
    ...(errors && errors.length > 0 && { errors }),
    ...(messageStatus && { messageStatus }),
    requestId,
  };
}

/** Answers with a problem; nothing else may answer with an error. */
export function sendProblem(reply: FastifyReply, code: ProblemCode, particulars: Particulars = {}): FastifyReply {
  const body = problemBody(code, reply.request.id, particulars);
  return reply
    .code(body.status)
    .headers(particulars.headers ?? {})
    .type('application/problem+json')
    .serializer(JSON.stringify)
    .send(body);
}

export function isProblemCode(code: string): code is ProblemCode {
  return Object.hasOwn(PROBLEMS, code);
}
