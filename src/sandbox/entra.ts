import { createHmac, randomBytes, randomUUID, timingSafeEqual } from 'node:crypto';
import { exampleOf, KNOWN_REPLIES, type ReplyId } from '../failure/replies.ts';
import { type AssertionJudge, assertionJudge, type FederatedCredential } from './client-assertion.ts';

/** What Entra ID answers over HTTP. */
export interface TokenAnswer {
  status: number;
  headers: Record<string, string>;
  body: string;
}

export interface TokenRequest {
  /** From the path: a tenant id, or `common` and its like. */
  tenant: string;
  /** The form's fields. */
  form: URLSearchParams;
  /** The Authorization header (RFC 6749 §2.3.1). */
  authorization: string | undefined;
  /** Where it was posted to: the audience that a client assertion must have. */
  url: string;
}

export interface Entra {
  readonly tenantId: string;
  /** POST /{tenant}/oauth2/v2.0/token. */
  issue(request: TokenRequest): TokenAnswer;
  /** Would Exchange Online take this token? */
  isValidForSmtp(token: string): boolean;
  /** Every token issued so far stops working. */
  revokeAll(): void;
  /** An error in Entra's form, by its AADSTS number; undefined if the reply lists do not have it. */
  failure(code: number): TokenAnswer | undefined;
}

export interface EntraOptions {
  tenantId: string;
  clientId: string;
  clientSecret: string;
  /** PEM certificates that the application has registered. */
  clientCertificates: readonly string[];
  federatedCredentials: readonly FederatedCredential[];
  lifetimeSeconds: number;
  now: () => number;
  /** Claims that differ from the ordinary ones; null leaves one out. */
  claims?: () => Record<string, unknown> | undefined;
}

/** The audiences that Exchange Online takes; learn.microsoft.com, "Authenticate an IMAP, POP or SMTP connection using OAuth". */
const OUTLOOK = ['https://outlook.office365.com', 'https://outlook.office.com', '00000002-0000-0ff1-ce00-000000000000'];
/** A token for Graph is issued too, and Exchange then refuses it: a common mistake worth standing in for. */
const RESOURCES = [...OUTLOOK, 'https://graph.microsoft.com'];
const SHARED_TENANTS = ['common', 'organizations', 'consumers'];

/** A stand-in for Entra ID's v2.0 client-credentials endpoint with one tenant and one application. */
export function createEntra(options: EntraOptions): Entra {
  // The key makes our tokens ours, and a new key makes all earlier ones worthless.
  let key = randomBytes(32);
  const judgeAssertion = assertionJudge(options);
  return {
    tenantId: options.tenantId,
    issue(request) {
      const refusal = refuse(request, options, judgeAssertion);
      if (refusal) return refusal;
      const resource = resourceOf(request.form) ?? OUTLOOK[0] ?? '';
      return success(sign(departing(claims(resource, options), options), key), options.lifetimeSeconds);
    },
    isValidForSmtp: (token) => isGood(verify(token, key), options),
    revokeAll() {
      key = randomBytes(32);
    },
    failure: failureByCode,
  };
}

/** The checks in Entra's order: tenant, request, application, secret or assertion, scope. */
function refuse(
  { tenant, form, authorization, url }: TokenRequest,
  options: EntraOptions,
  judgeAssertion: AssertionJudge,
): TokenAnswer | undefined {
  if (SHARED_TENANTS.includes(tenant)) return entraError('token-aadsts-50194', 400, options);
  if (tenant.toLowerCase() !== options.tenantId) return tenantNotFound(tenant);
  const grant = form.get('grant_type');
  if (grant === null) return missing('grant_type');
  if (grant !== 'client_credentials') return unsupportedGrant(grant);
  const client = clientOf(form, authorization);
  if (!client.id) return missing('client_id');
  if (client.id.toLowerCase() !== options.clientId) return applicationNotFound(client.id, tenant);
  const assertion = form.get('client_assertion');
  if (assertion !== null) {
    const fault = judgeAssertion(form.get('client_assertion_type'), assertion, url);
    return fault ? describe(401, 'invalid_client', `AADSTS${fault.code}: ${fault.sentence}`) : refuseScope(form);
  }
  if (!client.secret) return entraError('token-aadsts-7000218', 401, options);
  if (!isEqual(client.secret, options.clientSecret)) return entraError('token-aadsts-7000215', 401, options);
  return refuseScope(form);
}

function refuseScope(form: URLSearchParams): TokenAnswer | undefined {
  const scope = form.get('scope');
  if (!scope) return missing('scope');
  if (!scope.endsWith('/.default')) {
    return describe(
      400,
      'invalid_scope',
      `AADSTS1002012: The provided value for scope ${scope} is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier (application ID URI).`,
    );
  }
  if (/\s/.test(scope)) {
    return describe(
      400,
      'invalid_scope',
      `AADSTS70011: The provided request must include a 'scope' input parameter. The provided value for the input parameter 'scope' is not valid. The scope ${scope} is not valid.`,
    );
  }
  if (resourceOf(form)) return undefined;
  return describe(
    400,
    'invalid_resource',
    `AADSTS500011: The resource principal named ${scope.slice(0, -'/.default'.length)} was not found in the tenant.`,
  );
}

function resourceOf(form: URLSearchParams): string | undefined {
  const resource = (form.get('scope') ?? '').replace(/\/?\/\.default$/, '');
  return RESOURCES.find((known) => known === resource);
}

/** RFC 6749 §2.3.1: in the body, or by Basic with both parts form-encoded first. */
function clientOf(
  form: URLSearchParams,
  authorization: string | undefined,
): { id: string | null; secret: string | null } {
  const basic = /^Basic ([A-Za-z0-9+/=]+)$/i.exec(authorization ?? '')?.[1];
  if (!basic) return { id: form.get('client_id'), secret: form.get('client_secret') };
  const [id = '', secret = ''] = Buffer.from(basic, 'base64').toString('utf8').split(/:(.*)/s);
  return { id: formDecode(id), secret: formDecode(secret) };
}

function formDecode(text: string): string {
  return new URLSearchParams(`v=${text}`).get('v') ?? '';
}

function isEqual(given: string, expected: string): boolean {
  const [a, b] = [given, expected].map((text) => createHmac('sha256', 'compare').update(text).digest());
  return a !== undefined && b !== undefined && timingSafeEqual(a, b);
}

interface Claims {
  aud: string;
  iss: string;
  iat: number;
  nbf: number;
  exp: number;
  appid: string;
  tid: string;
  roles: string[];
  uti: string;
  ver: string;
}

function claims(resource: string, options: EntraOptions): Claims {
  const issuedAt = Math.floor(options.now() / 1_000);
  return {
    aud: resource,
    iss: `https://sts.windows.net/${options.tenantId}/`,
    iat: issuedAt,
    nbf: issuedAt,
    // With its fraction, so that a test can have lifetimes below a second.
    exp: options.now() / 1_000 + options.lifetimeSeconds,
    appid: options.clientId,
    tid: options.tenantId,
    roles: [OUTLOOK.includes(resource) ? 'SMTP.SendAsApp' : 'Mail.Send'],
    uti: randomUUID(),
    ver: '1.0',
  };
}

function departing(ordinary: Claims, options: EntraOptions): Partial<Claims> {
  const merged = { ...ordinary, ...options.claims?.() };
  return Object.fromEntries(Object.entries(merged).filter(([, value]) => value !== null));
}

/** JWT-shaped (RFC 7519). HS256 where Entra has RS256: only the sandbox itself checks it. */
function sign(content: Partial<Claims>, key: Buffer): string {
  const head = { typ: 'JWT', alg: 'HS256', kid: 'postroom-sandbox' };
  const signed = [head, content].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  return `${signed}.${createHmac('sha256', key).update(signed).digest('base64url')}`;
}

function verify(token: string, key: Buffer): Partial<Claims> | undefined {
  const [head, content, signature] = token.split('.');
  if (!head || !content || !signature) return undefined;
  const expected = createHmac('sha256', key).update(`${head}.${content}`).digest('base64url');
  if (!isEqual(signature, expected)) return undefined;
  return JSON.parse(Buffer.from(content, 'base64url').toString('utf8')) as Partial<Claims>;
}

function isGood(content: Partial<Claims> | undefined, options: EntraOptions): boolean {
  const { exp = 0, aud = '', tid, roles } = content ?? {};
  const isInTime = options.now() / 1_000 < exp;
  // No role at all: access by application RBAC in Exchange, which a token does not show.
  const isAllowed = roles === undefined || roles.includes('SMTP.SendAsApp');
  return isInTime && OUTLOOK.includes(aud) && tid === options.tenantId && isAllowed;
}

const JSON_HEADERS = {
  'content-type': 'application/json; charset=utf-8',
  'cache-control': 'no-store',
  pragma: 'no-cache',
};

function success(token: string, lifetimeSeconds: number): TokenAnswer {
  const body = {
    token_type: 'Bearer',
    expires_in: lifetimeSeconds,
    ext_expires_in: lifetimeSeconds,
    access_token: token,
  };
  return { status: 200, headers: JSON_HEADERS, body: JSON.stringify(body) };
}

function missing(field: string): TokenAnswer {
  return describe(
    400,
    'invalid_request',
    `AADSTS900144: The request body must contain the following parameter: '${field}'.`,
  );
}

function unsupportedGrant(grant: string): TokenAnswer {
  return describe(
    400,
    'unsupported_grant_type',
    `AADSTS70003: The app requested an unsupported grant type '${grant}'.`,
  );
}

function tenantNotFound(tenant: string): TokenAnswer {
  return describe(
    400,
    'invalid_request',
    `AADSTS90002: Tenant '${tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud.`,
  );
}

function applicationNotFound(clientId: string, tenant: string): TokenAnswer {
  return describe(
    400,
    'unauthorized_client',
    `AADSTS700016: Application with identifier '${clientId}' was not found in the directory '${tenant}'. You may have sent your authentication request to the wrong tenant.`,
  );
}

function failureByCode(code: number): TokenAnswer | undefined {
  const known = KNOWN_REPLIES.find(({ via, example }) => via === 'token' && example.includes(`AADSTS${code}:`));
  return known && entraError(known.id as ReplyId, undefined, undefined);
}

/** A known token reply, `<error> <description>`, with the application's own name in it. */
function entraError(id: ReplyId, status: number | undefined, options: EntraOptions | undefined): TokenAnswer {
  const [error = '', description = ''] = exampleOf(id).split(/ (.*)/s);
  const withoutTrace = description.replace(/\s*Trace ID:.*$/s, '');
  const named = options
    ? withoutTrace.replace(/00001111-aaaa-2222-bbbb-3333cccc4444/g, options.clientId)
    : withoutTrace;
  return describe(status ?? statusOf(error), error, named);
}

/** RFC 6749 §5.2: 401 for invalid_client, else 400; Entra has 503 for what is only for now. */
function statusOf(error: string): number {
  if (error === 'invalid_client') return 401;
  return error === 'temporarily_unavailable' ? 503 : 400;
}

/** Entra's error body; learn.microsoft.com, "Microsoft identity platform and the OAuth 2.0 client credentials flow". */
function describe(status: number, error: string, description: string): TokenAnswer {
  const timestamp = `${new Date().toISOString().slice(0, 19).replace('T', ' ')}Z`;
  const traceId = randomUUID();
  const correlationId = randomUUID();
  const code = Number(/AADSTS(\d+)/.exec(description)?.[1]);
  const body = {
    error,
    error_description: `${description} Trace ID: ${traceId} Correlation ID: ${correlationId} Timestamp: ${timestamp}`,
    error_codes: Number.isNaN(code) ? [] : [code],
    timestamp,
    trace_id: traceId,
    correlation_id: correlationId,
    error_uri: `https://login.microsoftonline.com/error?code=${code}`,
  };
  return { status, headers: JSON_HEADERS, body: JSON.stringify(body) };
}
