import * as oauth from 'oauth4webapi';
import type { Trouble } from '../failure/failure.ts';
import { MAX_RESPONSE_LENGTH } from '../mail/reply.ts';
import {
  AssertionFileError,
  type ClientCredential,
  CREDENTIAL_FIELDS,
  clientAuthentication,
} from './client-authentication.ts';

/** What an app-only token is asked for with: RFC 6749 §4.4 against Entra ID's v2.0 endpoint. */
export type ClientCredentials = ClientCredential & {
  tenantId: string;
  clientId: string;
  /** For example `https://login.microsoftonline.com`; the token endpoint is `{authority}/{tenantId}/oauth2/v2.0/token`. */
  authority: string;
  scope: string;
};

export type TokenResult = { ok: true; token: string } | NoToken;
export interface NoToken {
  ok: false;
  trouble: Trouble;
  /** As the endpoint asked; it is not asked again before, whoever wants a token. */
  retryAfterMilliseconds?: number;
}

/**
 * Hands out the access token of one tenant and application, which serves all its mailboxes.
 * One request at a time is on its way however many ask; it is renewed when a fifth of its life is left, and until then
 * or until that succeeds the old one is handed out without waiting.
 */
export interface TokenSource {
  get(): Promise<TokenResult>;
  /** Drops `rejected`, unless it has been replaced already, and gets a fresh one. */
  replace(rejected: string): Promise<TokenResult>;
}

export interface TokenSourceOptions {
  /**
   * How long a failure without a `Retry-After` is answered again without asking: the mailboxes of a tenant ask one
   * after another, and all get the answer that the first one got. 0 if absent.
   */
  rememberMilliseconds?: number;
  /** A token endpoint that hangs must not hold a worker: no answer within this time is a temporary failure. */
  timeoutMilliseconds?: number;
  /** Milliseconds of a monotonic clock, so that a jump of the wall clock neither renews nor outlives a token. */
  now?: () => number;
}

const USUAL_TIMEOUT_MILLISECONDS = 20_000;
/** After an early renewal that failed. The old token still works meanwhile, and an endpoint in trouble gets some peace. */
const RENEWAL_PAUSE_MILLISECONDS = 30_000;
const MAX_BODY_CHARACTERS = 100_000;
/** Used where the answer has no `expires_in`, which RFC 6749 §5.1 only recommends. Entra's tokens live 60 minutes or more. */
const ASSUMED_LIFETIME_SECONDS = 600;

interface Held {
  token: string;
  renewAt: number;
  expiresAt: number;
}

export function tokenSource(credentials: ClientCredentials, options: TokenSourceOptions = {}): TokenSource {
  const { now = () => performance.now(), rememberMilliseconds = 0 } = options;
  const request = tokenRequest(credentials, options.timeoutMilliseconds ?? USUAL_TIMEOUT_MILLISECONDS);
  let held: Held | undefined;
  let pending: Promise<TokenResult> | undefined;
  let refused: { failure: NoToken; until: number } | undefined;

  function renew(): Promise<TokenResult> {
    if (refused && now() < refused.until) return Promise.resolve(stillRefused(refused.failure, refused.until - now()));
    pending ??= request()
      .then(note)
      .finally(() => {
        pending = undefined;
      });
    return pending;
  }

  function note(answer: TokenAnswer): TokenResult {
    if (answer.ok) {
      const life = answer.lifetimeSeconds * 1000;
      held = { token: answer.token, renewAt: now() + life * 0.8, expiresAt: now() + life };
      return { ok: true, token: answer.token };
    }
    refused = { failure: answer, until: now() + (answer.retryAfterMilliseconds ?? rememberMilliseconds) };
    if (held) held.renewAt = now() + RENEWAL_PAUSE_MILLISECONDS;
    return answer;
  }

  async function get(): Promise<TokenResult> {
    if (!held || now() >= held.expiresAt) return renew();
    if (now() >= held.renewAt) void renew();
    return { ok: true, token: held.token };
  }

  async function replace(rejected: string): Promise<TokenResult> {
    if (held && held.token !== rejected) return { ok: true, token: held.token };
    held = undefined;
    return renew();
  }

  return { get, replace };
}

/** `Retry-After` counts down; a failure without one is only remembered, and says nothing of when to come again. */
function stillRefused(failure: NoToken, left: number): NoToken {
  return failure.retryAfterMilliseconds === undefined
    ? failure
    : { ...failure, retryAfterMilliseconds: Math.ceil(left) };
}

type TokenAnswer = { ok: true; token: string; lifetimeSeconds: number } | NoToken;

/** @returns what asks the endpoint once; it never throws */
function tokenRequest(credentials: ClientCredentials, timeoutMilliseconds: number): () => Promise<TokenAnswer> {
  const server: oauth.AuthorizationServer = {
    issuer: `${credentials.authority}/${credentials.tenantId}/v2.0`,
    token_endpoint: `${credentials.authority}/${encodeURIComponent(credentials.tenantId)}/oauth2/v2.0/token`,
  };
  const client: oauth.Client = { client_id: credentials.clientId };
  const prove = clientAuthentication(credentials);
  return async () => {
    const shown: string[] = [];
    const authentication: oauth.ClientAuth = async (as, who, body, headers) => {
      await prove(as, who, body, headers);
      for (const field of CREDENTIAL_FIELDS) shown.push(body.get(field) ?? '');
    };
    try {
      const form = new URLSearchParams({ scope: credentials.scope });
      const response = await oauth.clientCredentialsGrantRequest(server, client, authentication, form, {
        signal: AbortSignal.timeout(timeoutMilliseconds),
        [oauth.allowInsecureRequests]: credentials.authority.startsWith('http:'),
      });
      return withoutSecrets(await readAnswer(server, client, response), shown);
    } catch (error) {
      return withoutSecrets({ ok: false, trouble: unreachable(error) }, shown);
    }
  };
}

/** An error page may repeat the form that was posted: as it is, and as it travels. */
function withoutSecrets(answer: TokenAnswer, shown: string[]): TokenAnswer {
  if (answer.ok) return answer;
  const forms = shown.flatMap((secret) => [secret, new URLSearchParams({ v: secret }).toString().slice(2)]);
  const clean = (text: string) =>
    forms.reduce((told, secret) => (secret ? told.replaceAll(secret, '[secret]') : told), text);
  const trouble = Object.entries(answer.trouble).map(([name, value]) => [
    name,
    typeof value === 'string' ? clean(value).slice(0, MAX_RESPONSE_LENGTH) : value,
  ]);
  return { ...answer, trouble: Object.fromEntries(trouble) as Trouble };
}

async function readAnswer(
  server: oauth.AuthorizationServer,
  client: oauth.Client,
  response: Response,
): Promise<TokenAnswer> {
  const body = await boundedText(response);
  if (!response.ok) return { ok: false, trouble: refusal(response.status, body), ...retryAfter(response) };
  const again = new Response(body, { status: response.status, headers: response.headers });
  const token = await oauth.processClientCredentialsResponse(server, client, again);
  return { ok: true, token: token.access_token, lifetimeSeconds: token.expires_in ?? ASSUMED_LIFETIME_SECONDS };
}

/** What is longer than any token answer is cut, and then no JSON any more. */
async function boundedText({ body }: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  for await (const chunk of body ?? []) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length > MAX_BODY_CHARACTERS) break;
  }
  return text;
}

/** Entra answers an OAuth error as JSON (RFC 6749 §5.2); anything else counts by its HTTP status alone. */
function refusal(httpStatus: number, body: string): Trouble {
  try {
    const { error, error_description: description } = JSON.parse(body) as Record<string, unknown>;
    if (typeof error === 'string')
      return { via: 'token', httpStatus, error, ...(typeof description === 'string' && { description }) };
  } catch {
    // Not JSON: a proxy's or a load balancer's page.
  }
  return { via: 'token', httpStatus };
}

/** No answer, none that is a token, or nothing to ask with. */
function unreachable(error: unknown): Trouble {
  const message = `token request failed: ${reasonOf(error)}`;
  return { via: 'client', code: 'EOAUTH2', command: 'AUTH XOAUTH2', message, stage: 'auth' };
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'TimeoutError') return 'no answer in time';
  const { code, message, cause } = error as NodeJS.ErrnoException;
  // What the library or the file reader has caught quotes the answer, which may hold a token.
  const isOurs = error instanceof AssertionFileError || code?.startsWith('OAUTH_');
  const { code: causeCode, message: causeMessage } = (isOurs ? undefined : (cause as NodeJS.ErrnoException)) ?? {};
  return [causeCode ?? code, causeMessage ?? message].filter(Boolean).join(' ');
}

/** `Retry-After` in seconds or as a date (RFC 9110 §10.2.3), bounded to an hour. */
function retryAfter(response: Response): { retryAfterMilliseconds?: number } {
  const value = response.headers.get('retry-after');
  if (!value) return {};
  const milliseconds = /^\d{1,9}$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  if (!Number.isFinite(milliseconds)) return {};
  return { retryAfterMilliseconds: Math.min(Math.max(milliseconds, 0), 3_600_000) };
}
