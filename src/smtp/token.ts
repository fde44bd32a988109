import * as oauth from 'oauth4webapi';
import type { Trouble } from '../failure/failure.ts';

/** What an app-only token is asked for with: RFC 6749 §4.4 against Entra ID's v2.0 endpoint. */
export interface ClientCredentials {
  tenantId: string;
  clientId: string;
  clientSecret: string;
  /** For example `https://login.microsoftonline.com`; the token endpoint is `{authority}/{tenantId}/oauth2/v2.0/token`. */
  authority: string;
  scope: string;
}

export type TokenResult =
  | { ok: true; token: string }
  | { ok: false; trouble: Trouble; retryAfterMilliseconds?: number };

/**
 * Hands out the access token of one tenant and application, which serves all its mailboxes.
 * One request at a time is on its way however many ask; it is renewed when a fifth of its life is left.
 */
export interface TokenSource {
  get(): Promise<TokenResult>;
  /** Drops `rejected`, unless it has been replaced already, and gets a fresh one. */
  replace(rejected: string): Promise<TokenResult>;
}

/** A token endpoint that hangs must not hold a worker: no answer within this time is a temporary failure. */
const REQUEST_TIMEOUT_MILLISECONDS = 20_000;
const MAX_BODY_CHARACTERS = 100_000;
/** Used where the answer has no `expires_in`, which RFC 6749 §5.1 only recommends. Entra's tokens live 60 minutes or more. */
const ASSUMED_LIFETIME_SECONDS = 600;

interface Held {
  token: string;
  /** Milliseconds of the monotonic clock, so that a jump of the wall clock neither renews nor outlives a token. */
  renewAt: number;
  expiresAt: number;
}

export function tokenSource(credentials: ClientCredentials): TokenSource {
  let held: Held | undefined;
  let pending: Promise<TokenResult> | undefined;

  function renew(): Promise<TokenResult> {
    pending ??= requestToken(credentials)
      .then((answer) => {
        if (!answer.ok) return answer;
        const now = performance.now();
        const life = answer.lifetimeSeconds * 1000;
        held = { token: answer.token, renewAt: now + life * 0.8, expiresAt: now + life };
        return { ok: true as const, token: answer.token };
      })
      .finally(() => {
        pending = undefined;
      });
    return pending;
  }

  async function get(): Promise<TokenResult> {
    const now = performance.now();
    if (held && now < held.renewAt) return { ok: true, token: held.token };
    if (!held || now >= held.expiresAt) return renew();
    const stillValid = held.token;
    const renewed = await renew();
    return renewed.ok ? renewed : { ok: true, token: stillValid };
  }

  async function replace(rejected: string): Promise<TokenResult> {
    if (held && held.token !== rejected) return { ok: true, token: held.token };
    held = undefined;
    return renew();
  }

  return { get, replace };
}

type TokenAnswer =
  | { ok: true; token: string; lifetimeSeconds: number }
  | { ok: false; trouble: Trouble; retryAfterMilliseconds?: number };

async function requestToken(credentials: ClientCredentials): Promise<TokenAnswer> {
  const server: oauth.AuthorizationServer = {
    issuer: `${credentials.authority}/${credentials.tenantId}/v2.0`,
    token_endpoint: `${credentials.authority}/${encodeURIComponent(credentials.tenantId)}/oauth2/v2.0/token`,
  };
  const client: oauth.Client = { client_id: credentials.clientId };
  try {
    const response = await oauth.clientCredentialsGrantRequest(
      server,
      client,
      oauth.ClientSecretPost(credentials.clientSecret),
      new URLSearchParams({ scope: credentials.scope }),
      {
        signal: AbortSignal.timeout(REQUEST_TIMEOUT_MILLISECONDS),
        [oauth.allowInsecureRequests]: credentials.authority.startsWith('http:'),
      },
    );
    return await readAnswer(server, client, response);
  } catch (error) {
    return { ok: false, trouble: unreachable(error) };
  }
}

async function readAnswer(
  server: oauth.AuthorizationServer,
  client: oauth.Client,
  response: Response,
): Promise<TokenAnswer> {
  const body = (await response.text()).slice(0, MAX_BODY_CHARACTERS);
  if (!response.ok) return { ok: false, trouble: refusal(response.status, body), ...retryAfter(response) };
  const again = new Response(body, { status: response.status, headers: response.headers });
  const token = await oauth.processClientCredentialsResponse(server, client, again);
  return { ok: true, token: token.access_token, lifetimeSeconds: token.expires_in ?? ASSUMED_LIFETIME_SECONDS };
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

function unreachable(error: unknown): Trouble {
  const cause = error instanceof Error ? (error.cause ?? error) : error;
  const { code, message } = cause as { code?: unknown; message?: unknown };
  const timedOut = error instanceof Error && error.name === 'TimeoutError';
  return {
    via: 'client',
    code: 'EOAUTH2',
    command: 'AUTH XOAUTH2',
    message: `token request failed: ${timedOut ? 'no answer in time' : `${String(code ?? '')} ${String(message ?? error)}`.trim()}`,
    stage: 'auth',
  };
}

/** `Retry-After` in seconds or as a date (RFC 9110 §10.2.3), bounded to an hour. */
function retryAfter(response: Response): { retryAfterMilliseconds?: number } {
  const value = response.headers.get('retry-after');
  if (!value) return {};
  const milliseconds = /^\d{1,9}$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  if (!Number.isFinite(milliseconds)) return {};
  return { retryAfterMilliseconds: Math.min(Math.max(milliseconds, 0), 3_600_000) };
}
