import { fail, ok, short, type Verdict, warn } from './check.ts';
import type { OAuthLogin } from './patient.ts';

/** Of an Entra access token; learn.microsoft.com, "Access token claims reference", read 2026-11. Strings are foreign. */
export interface Claims {
  aud?: string;
  tid?: string;
  appid?: string;
  roles?: string[];
  scp?: string;
  /** Seconds since the epoch. */
  exp?: number;
}

/** Reads a JWT (RFC 7519) without checking it: it is for Exchange Online to judge, and for us to explain. */
export function claimsIn(token: string): Claims | undefined {
  const [, content, signature] = token.split('.');
  if (!content || signature === undefined) return undefined;
  try {
    const json: unknown = JSON.parse(Buffer.from(content, 'base64url').toString('utf8'));
    return typeof json === 'object' && json !== null ? known(json as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function known({ aud, tid, appid, roles, scp, exp }: Record<string, unknown>): Claims {
  return {
    ...(typeof aud === 'string' && { aud: short(aud) }),
    ...(typeof tid === 'string' && { tid: short(tid) }),
    ...(typeof appid === 'string' && { appid: short(appid) }),
    ...(Array.isArray(roles) && { roles: roles.slice(0, 50).map((each) => short(String(each))) }),
    ...(typeof scp === 'string' && { scp: short(scp) }),
    ...(typeof exp === 'number' && { exp }),
  };
}

/** Exchange Online by its application id, which v1.0 tokens may name instead of a URL. */
const EXCHANGE_ID = '00000002-0000-0ff1-ce00-000000000000';
const EXCHANGE = /^https:\/\/(outlook\.office(365)?\.(com|us)|partner\.outlook\.cn)\/?$/i;
const GRAPH = /graph\.microsoft|microsoftgraph|^00000003-0000-0000-c000-000000000000$/i;
const GUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const SOON_SECONDS = 300;

/** learn.microsoft.com, "SMTP client submission with application RBAC", 2025-10-17: such an application has no role. */
const ABOUT_ROLES =
  'If access was given by application RBAC in Exchange, this is right. Otherwise add the application permission Office 365 Exchange Online > SMTP.SendAsApp and have an administrator grant consent.';

export function judgeClaims(claims: Claims, login: OAuthLogin, now: Date): Verdict {
  const { aud, tid, roles, scp, exp } = claims;
  const says = describe(claims, now);
  if (aud !== undefined && GRAPH.test(aud))
    return fail(
      `It is for Microsoft Graph, and Exchange Online refuses it. ${says}`,
      'Set M365_SCOPE (or auth.scope) to https://outlook.office365.com/.default.',
    );
  if (tid !== undefined && GUID.test(login.tenantId) && tid.toLowerCase() !== login.tenantId.toLowerCase())
    return fail(`It is of another tenant than the configured one. ${says}`, 'Check M365_TENANT_ID and M365_AUTHORITY.');
  if (aud !== undefined && aud !== EXCHANGE_ID && !EXCHANGE.test(aud))
    return warn(`It is not for Exchange Online. ${says}`, 'Check M365_SCOPE (or auth.scope).');
  if (exp !== undefined && exp * 1000 - now.getTime() < SOON_SECONDS * 1000)
    return warn(`It ends at once, by the clock of this host. ${says}`, 'Check the clock of this host.');
  if (scp !== undefined && !roles)
    return /\bSMTP\.Send\b/i.test(scp) ? ok(says) : warn(`It lacks the scope SMTP.Send. ${says}`, ABOUT_ROLES);
  if (!roles?.includes('SMTP.SendAsApp')) return warn(`It lacks the role SMTP.SendAsApp. ${says}`, ABOUT_ROLES);
  return ok(says);
}

function describe({ aud, tid, appid, roles, scp, exp }: Claims, now: Date): string {
  const minutes = exp === undefined ? undefined : Math.round((exp * 1000 - now.getTime()) / 60_000);
  const parts = [
    `aud ${aud ?? 'none'}`,
    `tid ${tid ?? 'none'}`,
    ...(appid ? [`appid ${appid}`] : []),
    scp === undefined ? `roles ${roles?.join(' ') || 'none'}` : `scp ${scp}`,
    ...(minutes === undefined ? [] : [`ends in ${minutes} min`]),
  ];
  return `${parts.join(', ')}.`;
}
