/** What is true of every operation, and would otherwise be said forty times. */

type Json = Record<string, unknown>;

interface Operation {
  responses?: Record<string, Json>;
}

const INT32 = 2 ** 31 - 1;

/** Generators choose a type by it: whole numbers that are known to fit get `int32`, the others `int64`. */
export function withIntegerFormats<T>(node: T): T {
  if (typeof node !== 'object' || node === null) return node;
  const schema = node as Json;
  if (schema.type === 'integer') schema.format ??= fits(schema.maximum) ? 'int32' : 'int64';
  for (const each of Object.values(schema)) withIntegerFormats(each);
  return node;
}

const fits = (maximum: unknown) => typeof maximum === 'number' && maximum <= INT32;

/** draft-ietf-httpapi-ratelimit-headers-10 §3 and §4 (read 2026-11); structured fields, RFC 9651. */
const RATE_HEADERS = {
  RateLimit: {
    description: 'What is left of a limit, and after how many seconds it is whole again. Only for a key that has one.',
    schema: { type: 'string', maxLength: 200 },
    example: '"default";r=599;t=1',
  },
  'RateLimit-Policy': {
    description: 'The limit itself: so many requests in so many seconds. Only for a key that has one.',
    schema: { type: 'string', maxLength: 200 },
    example: '"default";q=600;w=60',
  },
};

/** Every operation behind a key may answer 429 and tell of the limit; `tooMany` is that answer. */
export function withRateLimits<T extends { paths?: Json }>(document: T, tooMany: Json): T {
  for (const [path, item] of Object.entries(document.paths ?? {})) {
    if (!path.startsWith('/v1/')) continue;
    for (const operation of Object.values(item as Record<string, Operation>)) tellLimits(operation, tooMany);
  }
  return document;
}

function tellLimits({ responses }: Operation, tooMany: Json): void {
  if (!responses) return;
  responses['429'] ??= { ...tooMany };
  for (const [status, response] of Object.entries(responses))
    if (/^[24]/.test(status)) response.headers = { ...(response.headers as Json | undefined), ...RATE_HEADERS };
}
