/** What is true of every operation, and would otherwise be said forty times. */

type Json = Record<string, unknown>;

interface Operation {
  parameters?: { schema?: Json }[];
  requestBody?: Json;
  responses?: Record<string, Json>;
}

interface Document {
  paths?: Json;
  components?: { schemas?: Json; examples?: Json };
}

const INT32 = 2 ** 31 - 1;
/** Node's limit of the request line and the header fields together, in octets: a longer one is answered 431. */
const MAX_PARAMETER = 16_384;
/** The largest body that can be configured, in octets: a longer one is answered 413 before it is read. */
const MAX_BODY = 157_286_400 + 4 * 1024 * 1024;

/**
 * Adds integer formats, rate headers, and the length that bounds a string where nothing shorter does; and says once
 * what each problem looks like.
 */
export function withAdditions<T extends object>(document: T): T {
  const { paths, components } = document as Document;
  sendingFirst(document as Document);
  addIntegerFormats(document);
  const shared: Json = {};
  for (const [path, item] of Object.entries(paths ?? {})) {
    for (const operation of Object.values(item as Record<string, Operation>)) {
      for (const { schema } of operation.parameters ?? []) addMaxLength(schema, MAX_PARAMETER);
      describeForms(operation);
      addMaxLengths(operation.requestBody, components?.schemas ?? {}, new Set());
      if (path.startsWith('/v1/')) addRateHeaders(operation);
      shareProblems(operation, shared);
    }
  }
  if (components) Object.assign(components, { examples: shared, headers: RATE_HEADERS });
  return document;
}

/** What collects the routes gives a body the description of its last form, which Swagger UI shows above the JSON. */
function describeForms({ requestBody }: Operation): void {
  if (!requestBody || !isObject(requestBody.content) || !('multipart/form-data' in requestBody.content)) return;
  requestBody.description = 'The message as JSON; or a form, whose first part is that JSON and whose others are files.';
}

/** What everybody comes for stands at the top of the page; the others in the order of their routes. */
function sendingFirst(document: Document): void {
  const { '/v1/messages': item, ...others } = document.paths ?? {};
  if (!isObject(item)) return;
  const { post, ...reading } = item;
  document.paths = { '/v1/messages': { post, ...reading }, ...others };
}

/** The examples of problems are the same everywhere: each stands in the components, under its code. */
function shareProblems({ responses = {} }: Operation, shared: Json): void {
  for (const { content } of Object.values(responses)) {
    const media = (content as Record<string, { examples?: Json }> | undefined)?.['application/problem+json'];
    for (const [code, example] of Object.entries(media?.examples ?? {})) {
      shared[code] = example;
      if (media?.examples) media.examples[code] = { $ref: `#/components/examples/${code}` };
    }
  }
}

/** Generators choose a type by it: whole numbers that are known to fit get `int32`, the others `int64`. */
function addIntegerFormats(node: unknown): void {
  if (!isObject(node)) return;
  if (node.type === 'integer') node.format ??= fits(node.maximum) ? 'int32' : 'int64';
  for (const each of Object.values(node)) addIntegerFormats(each);
}

const fits = (maximum: unknown) => typeof maximum === 'number' && maximum <= INT32;

/** Everything that a body may hold, what it refers to included. */
function addMaxLengths(node: unknown, schemas: Json, seen: Set<unknown>): void {
  if (!isObject(node) || seen.has(node)) return;
  seen.add(node);
  addMaxLength(node, MAX_BODY);
  if (typeof node.$ref === 'string') addMaxLengths(schemas[node.$ref.split('/').at(-1) ?? ''], schemas, seen);
  for (const [name, each] of Object.entries(node)) if (name !== 'examples') addMaxLengths(each, schemas, seen);
}

function addMaxLength(schema: Json | undefined, maximum: number): void {
  if (schema?.type !== 'string') return;
  const isBounded = ['enum', 'const', 'pattern', 'format'].some((name) => schema[name] !== undefined);
  if (!isBounded) schema.maxLength ??= maximum;
}

/** draft-ietf-httpapi-ratelimit-headers-11 §3 and §4 (read 2026-11-27); structured fields, RFC 9651. */
const RATE_HEADERS = {
  RateLimit: {
    description: 'What is left of a limit, and after how many seconds it is whole again. Only for a key that has one.',
    schema: { type: 'string', maxLength: 200 },
  },
  'RateLimit-Policy': {
    description: 'The limit itself: so many requests in so many seconds. Only for a key that has one.',
    schema: { type: 'string', maxLength: 200 },
  },
};

const RATE_REFERENCES = Object.fromEntries(
  Object.keys(RATE_HEADERS).map((name) => [name, { $ref: `#/components/headers/${name}` }]),
);

function addRateHeaders({ responses = {} }: Operation): void {
  for (const response of Object.values(responses))
    response.headers = { ...(response.headers as Json | undefined), ...RATE_REFERENCES };
  // What collects the routes takes no headers where there is no content.
  const { '200': whole, '304': unchanged } = responses;
  if (unchanged) unchanged.headers = { ...(unchanged.headers as Json), ETag: (whole?.headers as Json)?.ETag };
}

const isObject = (node: unknown): node is Json => typeof node === 'object' && node !== null;
