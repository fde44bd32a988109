import { domainOf } from '../mail/address.ts';
import { type Check, listed, ok, short, skipped, type Verdict, type Visit, warn } from './check.ts';
import type { Patient } from './patient.ts';
import type { Records } from './tools.ts';

/** More would keep a person waiting; the others are told to be left out. */
const MOST_DOMAINS = 10;

/** What receivers look up about the domain of a From address. Never a failure: Microsoft takes the mail all the same. */
export function checkDomains({ from }: Patient): Check[] {
  const domains = [...new Set(from.map((each) => domainOf(each).toLowerCase()))];
  return domains.slice(0, MOST_DOMAINS).flatMap((domain) => {
    const when = (run: Check['run']): Check['run'] => {
      const reason = notPublished(domain);
      return reason ? () => skipped(reason) : run;
    };
    return [
      { id: 'spf', title: `SPF of ${domain}`, after: [], run: when((visit) => spf(domain, visit)) },
      { id: 'dkim', title: `DKIM of ${domain}`, after: [], run: when((visit) => dkim(domain, visit)) },
      { id: 'dmarc', title: `DMARC of ${domain}`, after: [], run: when((visit) => dmarc(domain, visit)) },
    ];
  });
}

function notPublished(domain: string): string | undefined {
  if (/\.onmicrosoft\.(com|us)$/.test(domain)) return 'Microsoft keeps the records of this domain.';
  if (/\.(example|test|invalid|localhost|local|localdomain|internal)$/.test(domain))
    return 'The name is reserved and never in public DNS (RFC 6761).';
  return undefined;
}

const unknown = (what: string, reason: string): Verdict =>
  warn(
    `${what} could not be looked up: ${short(reason)}.`,
    'Run the doctor again; check the name servers of this host.',
  );

/** learn.microsoft.com, "Set up SPF to identify valid email sources", and the national clouds' names. */
const MICROSOFT_SPF = /^[+?~]?include:spf\.protection\.(outlook\.com|office365\.us|partner\.outlook\.cn)$/i;
const SPF_REMEDY = 'Add include:spf.protection.outlook.com to the domain’s one TXT record that begins with v=spf1.';

async function spf(domain: string, { tools }: Visit): Promise<Verdict> {
  const records = await tools.txt(domain);
  if (records.kind === 'unknown') return unknown('SPF', records.reason);
  const policies = spfIn(records);
  const [policy] = policies;
  if (policy === undefined) return warn('There is none: receivers may distrust mail from this domain.', SPF_REMEDY);
  if (policies.length > 1)
    return warn('There are several, which counts as an error (RFC 7208 §4.5).', 'Merge them into one TXT record.');
  return (await includesMicrosoft(policy, tools.txt, 3))
    ? ok(short(policy))
    : warn(`It does not name Microsoft 365: ${short(policy)}`, SPF_REMEDY);
}

function spfIn(records: Records): string[] {
  return records.kind === 'found' ? records.values.filter((each) => /^v=spf1( |$)/i.test(each)) : [];
}

/** Looks into included policies too, as receivers do, but only `depth` deep and four wide. */
async function includesMicrosoft(
  policy: string,
  txt: (name: string) => Promise<Records>,
  depth: number,
): Promise<boolean> {
  const terms = policy.split(/\s+/);
  if (terms.some((term) => MICROSOFT_SPF.test(term))) return true;
  if (depth === 0) return false;
  const others = terms.flatMap((term) => /^(?:[+?~]?include:|redirect=)([a-z0-9._-]{1,253})$/i.exec(term)?.[1] ?? []);
  for (const name of others.slice(0, 4)) {
    const [inner] = spfIn(await txt(name));
    if (inner !== undefined && (await includesMicrosoft(inner, txt, depth - 1))) return true;
  }
  return false;
}

/** learn.microsoft.com, "Set up DKIM to sign mail from your cloud domain": two CNAME records, so that keys can change. */
async function dkim(domain: string, { tools }: Visit): Promise<Verdict> {
  const names = ['selector1', 'selector2'].map((selector) => `${selector}._domainkey.${domain}`);
  const found = await Promise.all(names.map(tools.cname));
  const unsure = found.find((each) => each.kind === 'unknown');
  if (unsure?.kind === 'unknown') return unknown('DKIM', unsure.reason);
  const missing = names.filter((_, index) => found[index]?.kind !== 'found');
  const targets = found.flatMap((each) => (each.kind === 'found' ? each.values : []));
  if (missing.length === 0) return ok(`selector1 and selector2 point to ${listed(targets.map(short))}.`);
  return warn(
    `${listed(missing)} ${missing.length > 1 ? 'are' : 'is'} missing: Microsoft cannot sign for this domain${missing.length > 1 ? '' : ' once it changes keys'}.`,
    'Publish the two CNAME records that the Defender portal shows for the domain under Email authentication settings > DKIM, then switch signing on there.',
  );
}

/** RFC 7489 §6.6.3: a domain without one is under the policy of its organisational domain. */
async function dmarc(domain: string, { tools }: Visit): Promise<Verdict> {
  for (const each of withParents(domain)) {
    const records = await tools.txt(`_dmarc.${each}`);
    if (records.kind === 'unknown') return unknown('DMARC', records.reason);
    const policy = records.kind === 'found' ? records.values.find((value) => /^v=DMARC1\b/i.test(value)) : undefined;
    if (policy) return ok(`${short(policy)}${each === domain ? '' : ` (of ${each})`}`);
  }
  return warn(
    'There is none: receivers do not know what to do with forged mail, and large ones refuse bulk mail without it.',
    `Publish a TXT record at _dmarc.${domain}, to begin with: v=DMARC1; p=none; rua=mailto:<an address of yours>`,
  );
}

function withParents(domain: string): string[] {
  const labels = domain.split('.');
  return labels
    .slice(0, -1)
    .map((_, index) => labels.slice(index).join('.'))
    .slice(0, 4);
}
