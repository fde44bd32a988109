import { PROBLEMS, type ProblemCode, problemBody } from './problem.ts';
import { problem } from './schemas/problem.ts';

const EXAMPLE_REQUEST_ID = '3f2b8c1e-7a4d-4a53-9a53-5d1d9b6f0c11';

/** Problems that any request may meet. */
const ANYWHERE: readonly ProblemCode[] = [
  'malformed_request',
  'invalid_parameter',
  'request_timeout',
  'headers_too_large',
  'internal_error',
];
/** And any request that needs a key. */
const BEHIND_A_KEY: readonly ProblemCode[] = [
  'missing_credentials',
  'invalid_credentials',
  'insufficient_scope',
  'rate_limited',
  'too_many_requests',
  'store_unavailable',
  'identity_unavailable',
  'shutting_down',
];

/** And any request that may change something or have a body, also where none is asked for: many clients send `{}`. */
export const ANY_BODY = [
  ...(['invalid_json', 'body_too_large', 'unsupported_media_type', 'body_too_complex'] as const),
  'precondition_failed',
] as const;

const EXAMPLE_ERRORS: Partial<Record<ProblemCode, { detail: string; errors: { pointer: string; message: string }[] }>> =
  {
    invalid_fields: {
      detail: '2 things are wrong; errors names each.',
      errors: [
        { pointer: '/to/1', message: '"ada@" has no domain after the @.' },
        { pointer: '/subjekt', message: 'There is no field "subjekt"; did you mean "subject"?' },
      ],
    },
  };

/** The error answers of an operation behind a key, by HTTP status, each with an example of every code. */
export function problemResponses(...codes: ProblemCode[]): Record<string, ReturnType<typeof problemResponse>> {
  return publicProblemResponses(...BEHIND_A_KEY, ...codes);
}

/** The same for an operation that anybody may use. */
export function publicProblemResponses(...codes: ProblemCode[]): Record<string, ReturnType<typeof problemResponse>> {
  const all = [...new Set([...codes, ...ANYWHERE])];
  const statuses = [...new Set(all.map((code) => PROBLEMS[code].status))].sort((a, b) => a - b);
  return Object.fromEntries(
    statuses.map((status) => [String(status), problemResponse(all.filter((code) => PROBLEMS[code].status === status))]),
  );
}

/** Those that say when to ask again. */
const RETRYABLE: readonly ProblemCode[] = [
  'rate_limited',
  'too_many_requests',
  'examination_running',
  'store_unavailable',
  'overloaded',
  'identity_unavailable',
  'shutting_down',
];
// A plain schema: @fastify/swagger makes a header object of it.
const retryAfter = () => ({
  'Retry-After': { type: 'string', maxLength: 10, description: 'Seconds after which to ask again.' },
});

function problemResponse(codes: readonly ProblemCode[]) {
  const examples = Object.fromEntries(codes.map((code) => [code, exampleOf(code)]));
  return {
    description: codes.map((code) => PROBLEMS[code].title).join(' · '),
    ...(codes.some((code) => RETRYABLE.includes(code)) && { headers: retryAfter() }),
    content: { 'application/problem+json': { schema: problem, examples } },
  };
}

function exampleOf(code: ProblemCode) {
  return { summary: PROBLEMS[code].title, value: problemBody(code, EXAMPLE_REQUEST_ID, EXAMPLE_ERRORS[code]) };
}
