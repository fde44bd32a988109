import { type Check, failBecause, listed, ok, short, skipped, type Verdict, type Visit, warn } from './check.ts';
import type { Patient } from './patient.ts';
import type { Dialed } from './tools.ts';

/** From the server's name to an open TCP connection, one address family at a time. */
export function checkNetwork({ smtp }: Patient): Check[] {
  const outcomes: Outcomes = {};
  return [
    { id: 'dns', title: `DNS of ${smtp.host}`, after: [], run: resolve },
    {
      id: 'tcpIpv4',
      title: `TCP port ${smtp.port}, IPv4`,
      after: ['dns'],
      run: (visit) => reach('ipv4', visit, outcomes),
    },
    {
      id: 'tcpIpv6',
      title: `TCP port ${smtp.port}, IPv6`,
      after: ['dns'],
      run: (visit) => reach('ipv6', visit, outcomes),
    },
  ];
}

async function resolve(visit: Visit): Promise<Verdict> {
  const { host } = visit.patient.smtp;
  const found = await visit.tools.addresses(host);
  if (!found.ok) return failBecause(`${host} has no address.`, found.trouble, visit);
  visit.addresses = found;
  const parts = [found.ipv4, found.ipv6].filter((each) => each.length > 0).map((each) => listed(each, 3));
  return ok(parts.join('; '));
}

type Family = 'ipv4' | 'ipv6';
type Outcomes = { isAdmitted?: boolean; dialed?: Record<Family, Dialed> };

/** Addresses of a family that are tried; a host of Microsoft's has some ten. */
const MOST_TRIED = 2;
/** What a host without this address family says. Not a fault while the other family works. */
const NO_ROUTE = /ENETUNREACH|EHOSTUNREACH|EADDRNOTAVAIL|EAFNOSUPPORT/;

async function reach(family: Family, visit: Visit, outcomes: Outcomes): Promise<Verdict> {
  const name = family === 'ipv4' ? 'IPv4' : 'IPv6';
  if (visit.addresses[family].length === 0) return skipped(`The server has no ${name} address.`);
  outcomes.isAdmitted ??= await (visit.tools.admission?.enter() ?? true);
  if (!outcomes.isAdmitted) return allInUse();
  outcomes.dialed ??= await dialBoth(visit);
  const dialed = outcomes.dialed[family];
  const other = outcomes.dialed[family === 'ipv4' ? 'ipv6' : 'ipv4'];
  if (!dialed.ok) return unreached(name, dialed, other.ok, visit);
  if (visit.conversation) await dialed.conversation.quit();
  else visit.conversation = dialed.conversation;
  return ok('The connection opens.');
}

/** Not a fault: one more would be refused, and with it what is being sent. */
function allInUse(): Verdict {
  const finding =
    'All connections that the mailbox may have are in use, and the doctor opens none beside them. Its messages show whether it works.';
  return { ...skipped(finding), blocked: true };
}

const NONE: Dialed = { ok: false, trouble: { via: 'client', message: 'There is no address', stage: 'connect' } };

/** At once, since what the failure of one family means depends on the other. */
async function dialBoth(visit: Visit): Promise<Record<Family, Dialed>> {
  const [ipv4, ipv6] = await Promise.all([dialFirst(visit, 'ipv4'), dialFirst(visit, 'ipv6')]);
  return { ipv4, ipv6 };
}

async function dialFirst({ addresses, tools }: Visit, family: Family): Promise<Dialed> {
  let last = NONE;
  for (const address of addresses[family].slice(0, MOST_TRIED)) {
    last = await tools.dial(address);
    if (last.ok) return last;
  }
  return last;
}

function unreached(name: string, dialed: Dialed & { ok: false }, otherWorks: boolean, visit: Visit): Verdict {
  const { trouble } = dialed;
  const said = trouble.via === 'client' ? `${trouble.code ?? ''} ${trouble.message}` : '';
  if (!otherWorks) return failBecause(`No connection by ${name}: ${short(said)}.`, trouble, visit);
  if (NO_ROUTE.test(said)) return skipped(`This host has no ${name}; the other family is used.`);
  return warn(
    `No connection by ${name}, though the other family works: ${short(said)}.`,
    `Open the port for ${name} as well, or give this host no ${name} address: programs that try it first are slowed down.`,
  );
}
