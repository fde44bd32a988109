import {
  type Check,
  fail,
  failBecause,
  isAccepted,
  ok,
  short,
  troubleOf,
  type Verdict,
  type Visit,
  warn,
  wordsOf,
} from './check.ts';
import type { CertificateFacts, Conversation, Secured } from './tools.ts';

/** The SMTP session up to the login: RFC 5321, RFC 3207. */
export function checkSession(): Check[] {
  let secured: Secured | undefined;
  const certified = (visit: Visit) => certificate(secured as Secured & { ok: true }, visit);
  return [
    { id: 'banner', title: 'SMTP greeting', after: ['dns'], run: talked(banner) },
    { id: 'ehlo', title: 'EHLO', after: ['banner'], run: talked(ehlo) },
    { id: 'startTls', title: 'STARTTLS', after: ['ehlo'], run: talked(startTls) },
    {
      id: 'tls',
      title: 'TLS',
      after: ['startTls'],
      run: talked(async (visit, conversation) => {
        secured = await conversation.secure();
        return handshake(secured, visit);
      }),
    },
    { id: 'certificate', title: 'Certificate', after: ['tls'], run: talked(certified) },
    { id: 'ehloTls', title: 'EHLO over TLS', after: ['certificate'], run: talked(ehlo) },
    { id: 'authMechanisms', title: 'Ways to log in offered', after: ['ehloTls'], run: talked(mechanisms) },
  ];
}

/** The steps of a session need one. */
export function talked(step: (visit: Visit, conversation: Conversation) => Promise<Verdict> | Verdict): Check['run'] {
  return (visit) => {
    if (visit.conversation) return step(visit, visit.conversation);
    return { status: 'skipped', finding: 'Not looked at, because there is no connection.', blocked: true };
  };
}

async function banner(visit: Visit, conversation: Conversation): Promise<Verdict> {
  const heard = await conversation.greeting();
  if (isAccepted(heard)) return ok(short(heard.reply.response));
  return failBecause(wordsOf(heard), troubleOf(heard), visit);
}

async function ehlo(visit: Visit, conversation: Conversation): Promise<Verdict> {
  const heard = await conversation.hello();
  if (!isAccepted(heard)) return failBecause(wordsOf(heard), troubleOf(heard), visit);
  visit.offers = offersIn(heard.reply.response);
  return ok([...visit.offers.keys()].join(' ') || 'No extensions.');
}

/** RFC 5321 §4.1.1.1: each line after the first is a keyword with parameters. */
function offersIn(response: string): Map<string, string> {
  const lines = response.split('\n').slice(1);
  return new Map(
    lines.map((line) => {
      const [keyword = '', ...parameters] = line.slice(4).trim().split(/\s+/);
      return [keyword.toUpperCase(), parameters.join(' ').toUpperCase()] as const;
    }),
  );
}

async function startTls(visit: Visit, conversation: Conversation): Promise<Verdict> {
  if (!visit.offers.has('STARTTLS'))
    return fail(
      'The server does not offer STARTTLS. Without it no credential is sent.',
      'Check host and port (smtp.office365.com, 587), and look for a firewall or proxy that inspects SMTP and takes STARTTLS away.',
    );
  const heard = await conversation.startTls();
  return isAccepted(heard) ? ok(short(heard.reply.response)) : failBecause(wordsOf(heard), troubleOf(heard), visit);
}

function handshake(secured: Secured, visit: Visit): Verdict {
  if (secured.ok) return ok(`${secured.version} with ${secured.cipher}.`);
  const said = secured.trouble.via === 'client' ? short(secured.trouble.message) : '';
  const old = /unsupported protocol|protocol version|alert protocol/i.test(said);
  if (!old) return failBecause(`The handshake failed: ${said}.`, secured.trouble, visit);
  return {
    ...failBecause(`The server speaks no TLS 1.2 or newer: ${said}.`, secured.trouble, visit),
    remedy: 'Check that the host is smtp.office365.com; if it is, a proxy in between is too old.',
  };
}

const DAY = 86_400_000;
const SOON_DAYS = 7;

function certificate(secured: Secured & { ok: true }, visit: Visit): Verdict {
  const [own] = secured.chain;
  if (!own) return fail('The server showed no certificate.', 'Look for a proxy in between.');
  const about = `For ${nameIn(own)}, issued by ${issuers(secured.chain)}, valid until ${own.validTo.toISOString().slice(0, 10)}.`;
  if (secured.untrusted) return untrusted(about, secured.untrusted, secured.chain, visit);
  const strange = isMicrosoft(visit.patient.smtp.host) && !/Microsoft|DigiCert/i.test(issuers(secured.chain));
  if (strange)
    return warn(
      `${about} Microsoft’s own are issued by DigiCert or Microsoft: a proxy that this host trusts reads along.`,
      'Exempt the SMTP server from TLS inspection, or accept that the proxy sees mail and tokens.',
    );
  const days = Math.floor((own.validTo.getTime() - visit.tools.now().getTime()) / DAY);
  if (days > SOON_DAYS) return ok(about);
  return warn(`${about} That is in ${days} days.`, 'Whoever runs this server has to renew its certificate.');
}

function untrusted(
  about: string,
  { code, message }: { code: string; message: string },
  chain: CertificateFacts[],
  visit: Visit,
): Verdict {
  const trouble = { via: 'client', code: `ESOCKET ${code}`, message, stage: 'tls' } as const;
  const verdict = failBecause(`Not trusted: ${short(message)} (${code}). ${about}`, trouble, visit);
  const issuer = chain.at(-1)?.issuer ?? 'unknown';
  if (/SELF_SIGNED|UNABLE_TO_/.test(code))
    verdict.remedy = `If “${issuer}” is an authority or proxy of your own, trust it: put its certificate (PEM) into M365_SMTP_CA_FILE. If you do not know it, somebody is in between. Verification is never switched off.`;
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID')
    verdict.remedy =
      'Set M365_SMTP_HOST (or smtp.host) to a name that the certificate is for: smtp.office365.com, never an IP address.';
  if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID')
    verdict.remedy =
      'Check the clock of this host; if it is right, whoever runs this server has to renew its certificate.';
  return verdict;
}

const nameIn = ({ names, subject }: CertificateFacts) => names.slice(0, 3).join(', ') || subject;
const issuers = (chain: CertificateFacts[]) => [...new Set(chain.map(({ issuer }) => issuer))].slice(0, 4).join(' ← ');
const isMicrosoft = (host: string) => /(^|\.)(office365\.(com|us)|outlook\.com|partner\.outlook\.cn)$/i.test(host);

function mechanisms({ offers, patient }: Visit): Verdict {
  const offered = (offers.get('AUTH') ?? '').split(' ').filter(Boolean);
  const needed = patient.login?.type === 'password' ? 'LOGIN' : 'XOAUTH2';
  if (offered.includes(needed)) return ok(offered.join(' '));
  return fail(
    offered.length > 0
      ? `Only ${offered.join(' ')}; ${needed} is needed.`
      : 'None: the server does not let anybody log in.',
    'Check host and port (smtp.office365.com, 587); Microsoft 365 offers LOGIN and XOAUTH2. If they are right, something in between rewrites SMTP.',
  );
}
