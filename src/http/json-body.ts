import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { z } from 'zod';
import { parseBoundedJson } from './bounded-json.ts';
import { jsonPointer } from './json-pointer.ts';
import { type WithoutNulls, withoutNulls } from './null-fields.ts';
import { ProblemError } from './problem.ts';

/** A message with 1,000 recipients as objects, 100 attachments and all else at its limit has about 5,300. */
const MAX_VALUES = 10_000;
/** A message has 3. */
const MAX_DEPTH = 16;

/** Makes `application/json` the only body this scope reads. */
export function acceptOnlyJson(scope: FastifyInstance): void {
  scope.removeAllContentTypeParsers();
  scope.addContentTypeParser<Buffer>('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    refuseEncoding(request);
    request.inTurn(body.length, () => {
      try {
        // Many clients name the type of a body that they do not send.
        const isNone = body.length === 0 && request.routeOptions.schema?.body === undefined;
        done(null, isNone ? undefined : readJson(body));
      } catch (error) {
        done(error as Error);
      }
    });
  });
  scope.addHook('preValidation', (request, _reply, done) => {
    if (request.body === undefined && lacksBody(request)) throw new ProblemError('invalid_json', { detail: NO_BODY });
    nullsOut(request);
    done();
  });
}

/** How nulls are taken out of the bodies of a route, by the schema that its document shows. */
const stripping = new WeakMap<object, WithoutNulls>();

/** Before all that looks at the body, so that it reads, and is recognised when it is repeated, as if they were absent. */
function nullsOut({ body, routeOptions }: FastifyRequest): void {
  const shown = routeOptions.schema?.body as { content?: Record<string, { schema?: z.ZodType }> } | undefined;
  const schema = shown?.content?.['application/json']?.schema;
  if (!schema || typeof body !== 'object') return;
  const strip = stripping.get(schema) ?? withoutNulls(schema);
  stripping.set(schema, strip);
  strip(body);
}

const NO_BODY = 'There is no body. Send one, with Content-Type: application/json.';

/**
 * Fastify chooses a body's schema by its type, and so checks nothing where there is neither type nor body. The handler
 * itself reads a form.
 */
function lacksBody({ routeOptions, headers }: FastifyRequest): boolean {
  const body = routeOptions.schema?.body as { required?: boolean; content?: object } | undefined;
  const isForm = headers['content-type']?.toLowerCase().startsWith(FORM) && FORM in (body?.content ?? {});
  return body?.required === true && !isForm;
}

const FORM = 'multipart/form-data';

export function refuseEncoding(request: FastifyRequest): void {
  const { 'content-encoding': encoding, 'transfer-encoding': coding } = request.headers;
  // Node takes away the last one alone, which must be chunked (RFC 9112 §6.1).
  if (coding !== undefined && coding.toLowerCase() !== 'chunked')
    throw new ProblemError('unsupported_media_type', {
      detail: 'Send the body with no Transfer-Encoding but chunked.',
    });
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
    throw new ProblemError('unsupported_media_type', { detail: 'Send the body without a Content-Encoding.' });
  }
}

/** @throws ProblemError for what is no JSON, or more of it than any message has */
export function readJson(body: Buffer): unknown {
  const json = parseBoundedJson(body, { depth: MAX_DEPTH, values: MAX_VALUES });
  if (json.kind === 'parsed') return json.value;
  if (json.kind === 'invalid') throw new ProblemError('invalid_json', { detail: json.reason });
  throw tooComplex(json.kind, json.member);
}

function tooComplex(kind: 'tooDeep' | 'tooMany', member: string | undefined): ProblemError {
  const message =
    kind === 'tooDeep'
      ? `Is nested more than ${MAX_DEPTH} levels deep; a message needs 3.`
      : `The body holds more than ${MAX_VALUES} values at this point; split it into several messages.`;
  return new ProblemError('body_too_complex', {
    errors: [{ pointer: jsonPointer(member === undefined ? [] : [member]), message }],
  });
}
