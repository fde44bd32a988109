import { createHash } from 'node:crypto';
import { errors, type JWTPayload, jwtVerify } from 'jose';
import { KeysUnavailable, tenantKeys } from './entra-keys.ts';
import { type Caller, IdentityUnavailable, type Permission, type RefusedToken } from './gateway/api.ts';

/** Whose tokens are let in. */
export interface EntraConfig {
  /** Directory (tenant) id. */
  tenantId: string;
  /** Any one of these: the application id, or its application id URI. */
  audiences: string[];
  /** Where its keys are, without a slash at the end; another one for national clouds. */
  authority: string;
}

/** App roles of the application that stands for Postroom. */
const APP_ROLES: Readonly<Record<string, Permission>> = {
  'Messages.Send': 'send',
  'Messages.Read': 'read',
  'Postroom.Operate': 'operate',
};

/** RFC 7515 §3.1: three parts of base64url. One of alg none has an empty third, and is to be told so. */
const COMPACT = /^[\w-]+\.[\w-]+\.[\w-]*$/;
const CLOCK_TOLERANCE_SECONDS = 60;
/** A token that was good a moment ago is not computed anew for every request. */
const REMEMBERED_MILLISECONDS = 60_000;
const MOST_REMEMBERED = 5_000;

type Verdict = Caller | RefusedToken;

export interface Clocks {
  /** Milliseconds since the epoch, which the lifetime of a token is told in. */
  now(): number;
  /** Milliseconds, by a clock that nobody sets. */
  monotonic(): number;
}

/**
 * Judges access tokens that Entra ID gave applications for themselves (client credentials), v1.0 and v2.0 ones.
 * Signature, issuer, audience, lifetime, tenant and roles are for whoever the token is for to check (RFC 8725 §3, and
 * OpenID Connect Core §3.1.3.7, which Microsoft's tokens follow).
 *
 * @returns undefined for what is no token; rejects with IdentityUnavailable while the keys cannot be fetched
 */
export function entraTokens(
  config: EntraConfig,
  { now, monotonic }: Clocks,
  log: { warn(fields: object, sentence: string): void },
) {
  const keys = tenantKeys({ url: `${config.authority}/${config.tenantId}/discovery/v2.0/keys`, now: monotonic, log });
  const remembered = new Map<string, { caller: Caller; expiresAt: number; until: number }>();

  async function judge(token: string): Promise<{ verdict: Verdict; expiresAt: number }> {
    try {
      const { payload } = await jwtVerify(token, keys, {
        issuer: issuersOf(config),
        audience: config.audiences,
        algorithms: ['RS256'],
        clockTolerance: CLOCK_TOLERANCE_SECONDS,
        requiredClaims: ['exp', 'iat'],
        currentDate: new Date(now()),
      });
      return { verdict: verdictOn(payload, config.tenantId), expiresAt: (payload.exp ?? 0) * 1000 };
    } catch (error) {
      return { verdict: { refused: complaintAbout(error) }, expiresAt: 0 };
    }
  }

  async function callerOf(token: string): Promise<Verdict> {
    const digest = createHash('sha256').update(token).digest('base64');
    const found = remembered.get(digest);
    if (found && found.until > monotonic() && found.expiresAt > now()) return found.caller;
    const { verdict, expiresAt } = await judge(token);
    if ('refused' in verdict) return verdict;
    if (remembered.size >= MOST_REMEMBERED) remembered.clear();
    remembered.set(digest, { caller: verdict, expiresAt, until: monotonic() + REMEMBERED_MILLISECONDS });
    return verdict;
  }

  return (credential: string) => (COMPACT.test(credential) ? callerOf(credential) : undefined);
}

/**
 * Of v2.0 and of v1.0 tokens; which of them a client gets is decided by the registration of the application. No reference
 * of Microsoft's names the hosts of the latter; an answer on Microsoft Q&A does, for the public, the US and the Chinese
 * cloud (learn.microsoft.com/answers/questions/1190472, read 2026-11-27).
 */
function issuersOf({ authority, tenantId }: EntraConfig): string[] {
  const v1 = authority.endsWith('.partner.microsoftonline.cn') ? 'sts.chinacloudapi.cn' : 'sts.windows.net';
  return [`${authority}/${tenantId}/v2.0`, `https://${v1}/${tenantId}/`];
}

/** `azp` in v2.0 and `appid` in v1.0 tokens is the client; `oid` is what it is in this tenant. */
function verdictOn(payload: JWTPayload, tenantId: string): Verdict {
  const { tid, oid, azp, appid, scp, roles } = payload;
  const client = azp ?? appid;
  if (tid !== tenantId) return { refused: 'The token is of another tenant.' };
  if (scp !== undefined)
    return { refused: 'The token was given to a user; get one for the application itself (client credentials).' };
  if (!isId(client) || !isId(oid)) return { refused: 'This is no access token of an application.' };
  const named: unknown[] = Array.isArray(roles) ? roles : [];
  const permissions = Object.keys(APP_ROLES).flatMap((role) => (named.includes(role) ? (APP_ROLES[role] ?? []) : []));
  return { id: `entra:${client}:${oid}`, permissions };
}

function isId(claim: unknown): claim is string {
  return typeof claim === 'string' && /^[\w-]{1,64}$/.test(claim);
}

const CLAIMS: Readonly<Record<string, string>> = {
  aud: 'The token is for another audience.',
  iss: 'The token is of another issuer.',
  nbf: 'The token is not valid yet.',
};

/** @throws IdentityUnavailable where it is not the token's fault */
function complaintAbout(error: unknown): string {
  if (error instanceof errors.JWTExpired) return 'The token has expired.';
  if (error instanceof errors.JWTClaimValidationFailed)
    return CLAIMS[error.claim] ?? 'A claim of the token is missing or wrong.';
  if (error instanceof errors.JOSEAlgNotAllowed) return 'The token is not signed with RS256.';
  if (error instanceof errors.JWKSNoMatchingKey) return 'The token is signed with a key that the tenant does not have.';
  if (error instanceof errors.JWSSignatureVerificationFailed) return 'The signature of the token is wrong.';
  if (error instanceof errors.JWSInvalid || error instanceof errors.JWTInvalid) return 'This is no valid token.';
  if (error instanceof errors.JWKSMultipleMatchingKeys) return 'The token does not say which key it is signed with.';
  if (error instanceof errors.JOSENotSupported) return 'The token asks for what is not supported.';
  if (!(error instanceof KeysUnavailable || error instanceof errors.JOSEError)) throw error;
  throw new IdentityUnavailable('The keys of the tenant cannot be fetched', { cause: error });
}
