import { domainOf } from '../mail/address.ts';
import { type Check, fail, listed, ok, skipped, type Verdict, type Visit, warn } from './check.ts';
import { exactSenders, type Patient } from './patient.ts';

/** What can be said of a set-up without asking anybody. */
export function checkConfiguration(): Check[] {
  return [
    { id: 'senders', title: 'From addresses', after: [], run: ({ patient, send }) => senders(patient, send) },
    { id: 'heloName', title: 'Name in EHLO', after: [], run: ({ patient }) => heloName(patient) },
    { id: 'port', title: 'SMTP port', after: [], run: ({ patient }) => port(patient) },
    { id: 'limits', title: 'Connections and pace', after: [], run: ({ patient }) => limits(patient) },
    { id: 'loginMethod', title: 'Way to log in', after: [], run: ({ patient }) => loginMethod(patient) },
    { id: 'secretExpiry', title: 'End of the secret', after: [], run: secretExpiry },
  ];
}

/** learn.microsoft.com, "Authenticate an IMAP, POP or SMTP connection using OAuth", read 2026-11. */
const SEND_AS =
  'Each needs Send As: Add-RecipientPermission -Identity <From address> -Trustee <mailbox, or the service principal> -AccessRights SendAs. Microsoft only refuses after a whole message, so prove it with: postroom doctor --send.';

function senders(patient: Patient, send: boolean): Verdict {
  const { address, from } = patient;
  const trial = from.filter((each) => /\.onmicrosoft\.(com|us)$|\.partner\.onmschina\.cn$/i.test(domainOf(each)));
  if (trial.length > 0)
    return warn(
      `${listed(trial)}: Microsoft limits and often refuses mail to the outside from onmicrosoft.com addresses (550 5.7.236).`,
      'Send from an address of a domain of your own that is verified in the tenant.',
    );
  const others = from.filter((each) => each.toLowerCase() !== address.toLowerCase());
  if (others.length === 0) return ok(`Only the mailbox’s own address, ${address}.`);
  const proof = `${address} logs in and may be asked to send as ${listed(others)}.`;
  return send && exactSenders(patient).length === from.length
    ? ok(`${proof} The test messages below show whether it may.`)
    : warn(`${proof} Nothing before a real message shows whether it may.`, SEND_AS);
}

const LABEL = '[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?';
const QUALIFIED = new RegExp(`^(?=.{1,253}$)${LABEL}(?:\\.${LABEL})+$`);

function heloName({ smtp }: Patient): Verdict {
  if (QUALIFIED.test(smtp.heloName)) return ok(`${smtp.heloName}, a fully qualified name.`);
  return fail(
    `“${smtp.heloName}” is no fully qualified domain name; Microsoft answers 501 5.5.4 to such.`,
    'Set M365_HELO_NAME (or smtp.heloName) to a name such as mail.contoso.com.',
  );
}

function port({ smtp }: Patient): Verdict {
  if (smtp.port === 465)
    return warn(
      'Port 465 wants TLS from the first byte. Microsoft 365 does not serve it, and Postroom uses STARTTLS.',
      'Set M365_SMTP_PORT (or smtp.port) to 587.',
    );
  if (smtp.port === 25)
    return warn(
      'Port 25 is for mail between servers; many networks block it.',
      'Set M365_SMTP_PORT (or smtp.port) to 587.',
    );
  return ok(`${smtp.host}:${smtp.port} with STARTTLS.`);
}

/** Of one mailbox (learn.microsoft.com, Exchange Online limits, read 2026-11). */
const MOST_CONNECTIONS = 3;
const MOST_MESSAGES_PER_MINUTE = 30;

function limits({ shares, address }: Patient): Verdict {
  const connections = shares.reduce((sum, each) => sum + each.connections, 0);
  const perMinute = Math.round(shares.reduce((sum, each) => sum + each.messagesPerMinute, 0));
  const what = `${connections} connections and ${perMinute} messages a minute`;
  const whose =
    shares.length > 1 ? ` over ${shares.map(({ id }) => id).join(', ')}, which all log in as ${address}` : '';
  if (connections <= MOST_CONNECTIONS && perMinute <= MOST_MESSAGES_PER_MINUTE) return ok(`${what}${whose}.`);
  return warn(
    `${what}${whose}; Microsoft allows one mailbox ${MOST_CONNECTIONS} and ${MOST_MESSAGES_PER_MINUTE}, and answers 432 4.3.2 to more.`,
    'Lower M365_CONNECTIONS and M365_MESSAGES_PER_MINUTE (or limits), and configure each login only once.',
  );
}

/** Exchange Team Blog, "Updated Exchange Online SMTP AUTH Basic Authentication Deprecation Timeline", 2026-01-27. */
const PASSWORD_DATES =
  'Microsoft switches password sign-in for SMTP off by default at the end of December 2026 in existing tenants, where an administrator can switch it on again; tenants created after that have it off from the start. The date of its final removal is to be announced in the second half of 2027.';

function loginMethod({ login }: Patient): Verdict {
  if (!login)
    return warn(
      'This process has no login for the mailbox, so that it cannot be tried.',
      'Run the doctor with the environment of a worker.',
    );
  if (login.type === 'password')
    return warn(
      `A password. ${PASSWORD_DATES}`,
      'Move to OAuth: configure M365_TENANT_ID, M365_CLIENT_ID and M365_CLIENT_SECRET instead of M365_PASSWORD.',
    );
  return ok('OAuth client credentials (XOAUTH2).');
}

const DAY = 86_400_000;
const SOON_DAYS = 30;

function secretExpiry({ patient: { login }, tools }: Visit): Verdict {
  if (login?.type !== 'clientCredentials') return skipped('There is no client secret or certificate.');
  const { proof, secretExpires } = login;
  if (proof === 'federated token') return skipped('Whoever issues the federated token renews it.');
  if (!secretExpires)
    return skipped('Entra ID does not tell a client when its secret ends; note the day in M365_SECRET_EXPIRES.');
  const days = Math.floor((Date.parse(secretExpires) - tools.now().getTime()) / DAY);
  const remedy = `Add a new client ${proof} to the app registration in the Entra admin center, configure it, and restart. The old one works beside it until it ends.`;
  const what = `The ${proof} ${days < 0 ? 'ended' : 'ends'} on ${secretExpires}`;
  if (days < 0) return fail(`${what}.`, remedy);
  if (days <= SOON_DAYS) return warn(`${what}, in ${days} days.`, remedy);
  return ok(`${what}, in ${days} days.`);
}
