import type { Judgement } from './catalogue.ts';
import type { ReplyId } from './replies.ts';

const LOGIN_AGAIN = 'Have the user sign in and consent again, or use OAuth client credentials, which need no person.';
const TENANT_IN_AUTHORITY = 'Configure the tenant id itself; common, organizations and consumers do not work here.';
const TEMPORARY_ENTRA = 'Entra ID had a passing fault of its own; no login has been refused.';
const CROSS_CLOUD =
  'Use the authority of the cloud that the app is registered in (login.microsoftonline.com, .us or partner.microsoftonline.cn).';

/** Where an entry differs from its class: only what differs. */
export const EXCEPTIONS = {
  // Logins
  'auth-535-5.7.139-smtpauth-mailbox': {
    summary: 'Authenticated SMTP is switched off for this very mailbox; this blocks OAuth as well.',
  },
  'auth-535-5.7.139-smtpauth-tenant': {
    summary:
      'Authenticated SMTP is switched off for the organisation and this mailbox follows it; this blocks OAuth as well.',
  },
  'auth-535-5.7.139-security-defaults': {
    summary: 'The organisation’s Entra security defaults block password sign-in; the password may be right.',
    remedy:
      'Configure the mailbox for OAuth client credentials, which security defaults do not touch; or have security defaults replaced by Conditional Access that exempts this account.',
  },
  'auth-535-5.7.139-criteria': {
    summary:
      'A Conditional Access policy or per-user MFA refused the login; it can depend on our IP address, and the password may be right.',
  },
  'auth-535-5.7.139-sts-https': {
    plan: 'afterFix',
    summary: 'The organisation’s federation server does not offer acceptable HTTPS.',
    remedy: 'Enable TLS 1.2 on the federation server, or send from a cloud-only account.',
  },
  'auth-535-5.7.139-org-config': {
    scope: 'tenant',
    remedy:
      'For High Volume Email: allow basic SMTP in the account’s authentication policy, or onboard the application with Add-HVEAppAccess.',
  },
  'auth-535-5.7.144': {
    summary: 'The token lacks the application permission SMTP.SendAsApp.',
  },
  'auth-550-5.7.240': {
    summary: 'This application has not been granted to this High Volume Email account.',
    remedy: 'Run Add-HVEAppAccess with the object id of the Enterprise application; it applies within minutes.',
  },
  'auth-501-5.5.121-126': {
    summary: 'The server could not read our XOAUTH2 login: user name or token is missing or garbled.',
    remedy: 'Check the configured mailbox address, and that nothing between rewrites SMTP.',
  },
  'auth-535-5.7.3-basic': {
    summary:
      'Microsoft 365 refused the password login without a reason: wrong credentials, MFA, security defaults or SMTP AUTH switched off.',
    remedy:
      'Check the password in Outlook on the web, then SMTP AUTH, MFA, security defaults and Conditional Access. Do not try passwords in quick succession.',
  },
  'auth-334-json-401': {
    summary: 'Exchange Online did not accept the OAuth token, as expired or not valid any more.',
  },

  // Token endpoint
  'token-aadsts-7000215': {
    summary: 'The configured client secret is wrong; very often the secret’s id was pasted instead of its value.',
    remedy: 'Configure the value of the secret, which is shown only once; or create a new secret.',
  },
  'token-aadsts-7000222': {
    summary: 'The client secret has expired.',
    remedy: 'Create a new secret (or better, a certificate) for the app registration and configure it.',
  },
  'token-aadsts-700016': {
    summary:
      'Entra ID does not know this client id in this tenant: one of the two is wrong, or consent was never given.',
    remedy: 'Check client id and tenant id; have an administrator grant consent to the application.',
  },
  'token-aadsts-7000112': {
    summary: 'The application is disabled in this tenant.',
    remedy: 'Enable sign-in for users on the Enterprise application.',
  },
  'token-aadsts-7000218': {
    summary: 'The token request carried no client secret or certificate.',
    remedy: 'Configure the client secret or certificate of the app registration.',
  },
  'token-aadsts-7000216': {
    summary: 'The token request carried no client secret or certificate.',
    remedy: 'Configure the client secret or certificate of the app registration.',
  },
  'token-aadsts-700027': {
    summary: 'The certificate that signed the token request is not registered with the application.',
    remedy: 'Upload the matching certificate to the app registration and check its thumbprint.',
  },
  'token-aadsts-50012': {
    summary: 'Entra ID could not verify the application’s certificate.',
    remedy: 'Upload the matching certificate to the app registration and check its thumbprint.',
  },
  'client-assertion-file': {
    // Nothing is asked of anybody, and it is over the moment the file is there.
    plan: 'backoff',
    summary: 'The federated token file cannot be read or holds no JWT, so that no token can be asked for.',
    remedy:
      'Check that the file is mounted where M365_FEDERATED_TOKEN_FILE (or auth.federatedTokenFile) says, that this process may read it, and that it is being renewed.',
  },
  'token-aadsts-70021': {
    summary: 'The application has no federated credential that fits our token file’s issuer, subject and audience.',
    remedy:
      'Compare issuer, subject and audience (case counts) of the federated credential in the app registration with those in the file.',
  },
  'token-aadsts-700024': {
    summary:
      'Entra ID finds our signed request too early or too late: the clock of this host is wrong, or the federated token file is no longer renewed.',
    remedy: 'Correct the clock of this host (NTP); with a federated token file, check that it is being renewed.',
  },
  'token-aadsts-500133': {
    summary: 'The clock of this host is wrong: Entra ID finds our signed request too early or too late.',
    remedy: 'Correct the clock of this host (NTP).',
  },
  'token-aadsts-90002': {
    summary: 'Entra ID does not know this tenant: wrong tenant id or domain, wrong cloud, or no active subscription.',
    remedy: 'Check the tenant id and the authority’s cloud.',
  },
  'token-aadsts-900023': {
    summary: 'The configured tenant is neither a tenant id nor a domain name.',
    remedy: 'Configure the tenant id (a GUID) or a verified domain of the tenant.',
  },
  'token-aadsts-900382': { summary: 'The application belongs to another national cloud.', remedy: CROSS_CLOUD },
  'token-aadsts-900432': { summary: 'The application belongs to another national cloud.', remedy: CROSS_CLOUD },
  'token-aadsts-50194': { remedy: TENANT_IN_AUTHORITY },
  'token-aadsts-9001023': { remedy: TENANT_IN_AUTHORITY },
  'token-aadsts-90130': { remedy: TENANT_IN_AUTHORITY },
  'token-aadsts-90124': { remedy: TENANT_IN_AUTHORITY },
  'token-aadsts-50059': { remedy: TENANT_IN_AUTHORITY },
  'token-aadsts-500011': {
    summary: 'The scope names a resource that this tenant does not have; Exchange Online may be absent from it.',
  },
  'token-aadsts-1002012': {
    summary: 'The scope is not one for client credentials: it must end in /.default.',
  },
  'token-aadsts-28000': {
    summary: 'The scope names more than one resource; a token is for one only.',
  },
  'token-aadsts-530032': { scope: 'tenant' },
  'token-aadsts-530034': { scope: 'tenant' },
  'token-aadsts-50053': {
    summary: 'The account is locked after too many wrong passwords, or our IP address is regarded as malicious.',
    remedy:
      'Stop everything that logs in with an old password; unlock the account or change the egress address. The Entra sign-in log says which of the two it is.',
  },
  'token-aadsts-50055': {
    summary: 'The password of the account has expired.',
    remedy: 'Change the password and sign in again, or use OAuth client credentials.',
  },
  'token-aadsts-50057': {
    summary: 'The account is disabled.',
    remedy: 'Enable the account in Entra ID.',
  },
  'token-aadsts-50034': {
    summary: 'The account does not exist in this tenant.',
    remedy: 'Check the user name and the tenant id.',
  },
  'token-aadsts-50076': { remedy: LOGIN_AGAIN },
  'token-aadsts-50079': { remedy: LOGIN_AGAIN },
  'token-aadsts-50074': { remedy: LOGIN_AGAIN },
  'token-aadsts-50072': { remedy: LOGIN_AGAIN },
  'token-aadsts-50078': { remedy: LOGIN_AGAIN },
  'token-aadsts-50158': { remedy: LOGIN_AGAIN },
  'token-aadsts-50196': {
    category: 'throttled',
    summary: 'The same token was requested too often; Entra ID refuses for a while.',
    remedy:
      'Nothing: it is tried again later. If it recurs, several gateways share this application and restart often.',
  },
  'token-aadsts-90055': {
    category: 'throttled',
    summary: 'Entra ID throttles token requests of this tenant.',
  },
  'token-aadsts-50033': { summary: TEMPORARY_ENTRA },
  'token-aadsts-90033': { summary: TEMPORARY_ENTRA },
  'token-aadsts-90006': { summary: TEMPORARY_ENTRA },
  'token-aadsts-90012': { summary: TEMPORARY_ENTRA },
  'token-aadsts-90024': { summary: TEMPORARY_ENTRA },
  'token-http-4xx': {
    summary: 'Something answered the token request, but not as Entra ID does: a wrong authority or a proxy in between.',
    remedy: 'Check the authority URL, and whether a proxy between this host and Entra ID demands a login.',
  },

  // Connection and session
  'conn-421-4.7.66': {
    summary: 'The connection used TLS 1.0 or 1.1, which Microsoft 365 does not accept.',
    remedy: 'Let this host use TLS 1.2 or later; look for a proxy that opens TLS with an old version.',
    docsUrl: 'https://aka.ms/smtp_auth_tls',
  },
  'conn-421-4.3.2-concurrent': {
    scope: 'connection',
    summary: 'Too many connections from this source are open at once.',
  },
  'conn-421-4.4.1': {
    summary: 'The server closed a connection that was idle or open for too long.',
    remedy: 'Nothing: a new connection is made.',
  },
  'conn-554-client-blocked': {
    category: 'senderBlocked',
    scope: 'network',
    plan: 'afterFix',
    summary: 'The server refuses our IP address because it is on a block list.',
    remedy: 'Ask the list’s operator to remove the address, or send from another one.',
  },
  'ehlo-501-5.5.4': {
    scope: 'network',
    summary: 'The server does not accept the name that we give in EHLO; common with container host names.',
    remedy: 'Set M365_HELO_NAME to a fully qualified domain name, without a trailing dot or underscore.',
  },
  'ehlo-504-5.5.2': {
    scope: 'network',
    summary: 'The server does not accept the name that we give in EHLO; common with container host names.',
    remedy: 'Set M365_HELO_NAME to a fully qualified domain name, without a trailing dot or underscore.',
  },
  'tls-454': {
    plan: 'backoff',
    summary: 'The server cannot encrypt at the moment, and nothing is sent without encryption.',
  },
  'tls-5xx': { plan: 'backoff' },
  'tls-starttls-refused': { plan: 'backoff' },
  'tls-closed': {
    plan: 'backoff',
    summary: 'The connection was cut while encryption was being set up.',
    remedy: 'Look for a firewall or proxy that does not let STARTTLS pass.',
  },
  'tls-other': { plan: 'backoff' },
  'tls-wrong-version': {
    category: 'tls',
    scope: 'network',
    summary:
      'The port does not speak the kind of TLS that was tried: 587 begins in plain text and upgrades by STARTTLS.',
    remedy: 'Use port 587 of smtp.office365.com; look for a proxy that answers in its place.',
  },
  'tls-cert-self-signed': {
    summary: 'The certificate chain ends in one that this host does not know: usually a proxy that inspects TLS.',
  },
  'tls-cert-unverifiable': {
    summary: 'The certificate’s issuer is unknown to this host: a missing CA store, or a proxy that inspects TLS.',
    remedy:
      'Install the system’s CA certificates; if a proxy of your own inspects TLS, trust its authority (M365_SMTP_CA_FILE or NODE_EXTRA_CA_CERTS).',
  },
  'tls-cert-name': {
    summary: 'The certificate is for another name than the configured host.',
    remedy: 'Configure the DNS name smtp.office365.com, not an IP address or an alias of your own.',
  },
  'tls-cert-expired': {
    summary: 'The certificate has expired or is not yet valid; as often, the clock of this host is wrong.',
    remedy: 'Correct the clock of this host (NTP); else the server or a proxy must renew its certificate.',
  },
  'tls-protocol-version': {
    summary: 'Both sides have no TLS version or cipher in common.',
    remedy: 'Let this host use TLS 1.2 or later, with its default ciphers.',
  },
  'net-dns-again': {
    summary: 'The name server could not be reached or did not answer.',
    remedy: 'Check the name servers of this host or container.',
  },
  'net-refused': {
    summary: 'The server’s port is closed to us; Microsoft 365 serves 587, and not 465.',
  },
  'net-unreach': {
    summary: 'There is no route to the server, often because of IPv6 without connectivity.',
    remedy: 'Correct the routing of this host, or let it prefer IPv4.',
  },
  'net-proxy': {
    summary: 'The configured proxy refused the connection.',
    remedy: 'Correct the proxy’s settings or credentials.',
  },
  'net-greeting-timeout': {
    scope: 'network',
    summary: 'The connection was made, but no SMTP greeting came: wrong port, a proxy, or an overloaded server.',
  },
  'net-connect-timeout': {
    scope: 'network',
    summary: 'Packets to the server are dropped: a firewall, or a cloud provider that blocks port 587 or 25.',
    remedy: 'Open TCP port 587 to smtp.office365.com for this host. Microsoft 365 does not serve port 465.',
  },
  'net-protocol': { scope: 'network' },
  'client-no-mechanism': {
    summary: 'The server does not offer a way of logging in that we know, or only after STARTTLS.',
  },
  'client-no-credentials': {
    summary: 'No usable credentials are configured for this mailbox.',
    remedy: 'Configure a password or OAuth client credentials for it.',
  },
  'client-envelope': {
    scope: 'message',
    summary: 'An address of the envelope is not valid, or there is no recipient; nothing was sent.',
    remedy: 'Correct the addresses and submit the message again.',
  },
  'client-stream': {
    summary: 'The content of the message could not be read; nothing was accepted.',
    remedy: 'Submit the message again; if it recurs, report it as a fault of Postroom.',
  },
  'client-size': {
    summary: 'The message is larger than the server says it accepts; nothing was sent.',
  },
  'client-abandoned': {
    scope: 'message',
    summary: 'The gateway itself broke off before the final dot, so that the message cannot have been accepted.',
    remedy: 'Nothing: it is tried again.',
  },

  // MAIL FROM, RCPT TO
  'mail-530-5.7.0-starttls': {
    summary: 'The server demands STARTTLS before anything else, and did not see it.',
  },
  'mail-5.7.62-hve': {
    plan: 'never',
    summary: 'High Volume Email accepts no other envelope sender than the account itself.',
    remedy: 'Submit the message with the account’s address as From.',
  },
  'mail-553-5.7.1-owner': {
    remedy: 'Use an address that this login owns as From, or have the server’s administrator assign it to the login.',
  },
  'rcpt-550-5.7.54': {
    summary: 'The server does not relay for us: we are not logged in to it, or it is not a submission server.',
    remedy: 'Use smtp.office365.com on port 587 with a login, not the MX host of a domain.',
  },
  'rcpt-550-5.1.4-reserved': { summary: 'The recipient’s domain is reserved for examples and cannot receive mail.' },
  'rcpt-550-5.1.6-single-label': { summary: 'The recipient’s domain has no dot in it.' },

  // After the final dot
  'data-432-4.3.2-recipient': { plan: 'backoff' },
  'data-430-4.2.0': {
    scope: 'mailbox',
    summary: 'The mailbox’s store is temporarily out of reach, on Microsoft’s side.',
  },
  'data-554-5.2.0': {
    plan: 'afterFix',
    summary:
      'Exchange took the message and then could not submit it, for a reason we do not know; such reasons mostly lie with the sending mailbox.',
    remedy:
      'Read the exception that the reply names, correct it, then retry the message. Please report the reply so that it can be added.',
  },
  'data-554-5.2.0-toobig': {
    summary: 'The message is larger than the MaxSendSize of the sending mailbox (35 MB unless changed).',
  },
  'data-554-5.2.0-spam-quota': {
    summary: 'Microsoft’s outbound spam control has refused more mail from this account for today.',
    remedy: 'Wait for a day, send less, and check the standing of the account.',
  },
  'data-554-5.2.0-spam-suspend': {
    summary: 'Microsoft has suspended the account for outbound spam.',
    remedy:
      'Sign in to the account and verify it, or have an administrator release it under Restricted entities in the Microsoft Defender portal.',
  },
  'data-550-5.2.251': {
    summary: 'Microsoft has shut SMTP for the mailbox because it was full and messages kept coming.',
  },
  'data-550-5.2.252': {
    summary: 'Microsoft has shut SMTP for the mailbox because it kept sending with From addresses it may not use.',
  },
  'data-550-5.2.253': {
    summary: 'Microsoft has shut SMTP for the mailbox because it has no valid licence.',
    remedy: 'Assign an Exchange Online licence, send nothing more from this mailbox by any program, and wait.',
  },
  'data-550-5.2.254': {
    summary: 'Microsoft has shut SMTP for the mailbox because it kept sending to too many recipients at once.',
  },
  'data-550-5.2.255': {
    summary: 'Microsoft has shut SMTP for the mailbox because it kept sending to invalid recipients.',
  },
  'data-552-5.3.4-header': {
    summary: 'The headers of the message are larger than 256 KB in all.',
    remedy: 'Use fewer or shorter headers; put many recipients in Bcc instead of To.',
  },
  'data-550-5.6.241': {
    plan: 'never',
    summary: 'High Volume Email accepts no other From address than the account itself.',
    remedy: 'Submit the message with the account’s address as From.',
  },
  'data-5.2.240-hve': {
    summary: 'An ordinary mailbox was used on the High Volume Email server.',
    remedy: 'Use smtp.office365.com for ordinary mailboxes.',
  },
  'data-550-5.1.20': { summary: 'The message has several From addresses and no Sender.' },
  'data-550-5.7.512': { summary: 'The message’s From header is missing or broken.' },
  'data-550-5.7.5xx-ban': {
    summary: 'Microsoft has banned this sender for spam.',
    remedy: 'Secure the account, then ask Microsoft support to lift the ban.',
  },
  'data-451-4.7.x': {
    scope: 'tenant',
    plan: 'backoff',
    summary: 'Microsoft slows us down while it looks at a suspicious pattern; legitimate traffic is let through again.',
    remedy: 'Nothing: it is tried again. Send more slowly if it recurs.',
  },

  // Non-delivery reports
  'ndr-5.2.3': { scope: 'recipient', summary: 'The message is larger than this recipient may receive.' },
  'ndr-5.6.11': {
    summary: 'The message contains bare line feeds and the next server does not take them.',
  },
  'ndr-5.7.1-rule': {
    summary: 'A mail-flow rule refused the message, on our side or the recipient’s.',
  },
  'ndr-5.7.23': {
    scope: 'recipient',
    summary: 'The recipient’s server refused the message by SPF: the From domain does not name Microsoft 365.',
    remedy: 'Publish include:spf.protection.outlook.com in the SPF record of the From domain.',
  },
  'ndr-5.7.25-26': {
    scope: 'recipient',
    summary: 'The recipient’s server demands SPF or DKIM for the From domain.',
    remedy: 'Set up SPF and DKIM for the From domain.',
  },
  'ndr-5.7.509': {
    scope: 'recipient',
    summary: 'The recipient’s server refused the message by DMARC: neither SPF nor DKIM vouch for the From domain.',
    remedy: 'Enable DKIM for the From domain in the Microsoft Defender portal and align SPF.',
  },
  'ndr-5.7.515': {
    scope: 'recipient',
    summary: 'Outlook.com demands SPF, DKIM and DMARC of large senders, and the From domain lacks one.',
    remedy: 'Set up SPF, DKIM and DMARC for the From domain.',
  },
  'ndr-5.7.520': {
    scope: 'recipient',
    summary: 'The outbound policy blocks automatic forwarding to other organisations.',
    remedy: 'This concerns forwarded mail only: ask the administrator.',
  },
  'ndr-5.0.350': { scope: 'recipient', summary: 'The next server refused the message for a reason given only inside.' },
  'ndr-5.7.64': {
    scope: 'tenant',
    summary: 'Mail went by a connector that matches no tenant: not by authenticated submission.',
  },
  'ndr-5.7.506': { scope: 'network' },
  'ndr-5.7.236': {
    plan: 'afterFix',
    summary:
      'From is an onmicrosoft.com address; those may reach only 100 external recipients a day for each organisation.',
    remedy: 'Send from a verified domain of your own.',
  },
  'ndr-5.7.508': { plan: 'nextWindow' },
  'ndr-5.7.703': {
    scope: 'message',
    plan: 'afterFix',
    summary: 'Our own organisation blocks this recipient in its Tenant Allow/Block List; the whole message is refused.',
    remedy: 'Remove the entry from the Tenant Allow/Block List, then submit the message again.',
  },
  'ndr-5.7.705': {
    summary: 'Most of this organisation’s mail looks suspicious to Microsoft: it is banned from sending.',
  },
  'ndr-5.7.708': {
    summary: 'Microsoft does not accept mail from this organisation yet; common for new and trial tenants.',
  },
  'ndr-5.7.750': {
    summary: 'Too much mail came from domains that are not verified in this organisation.',
    remedy: 'Verify every From domain in the tenant.',
  },
  'ndr-4.7.650': {
    plan: 'nextWindow',
    summary: 'Outlook.com slows down the Microsoft address that delivers; Microsoft tries again by itself.',
    remedy: 'Nothing.',
  },
  'ndr-5xx-any': {
    category: 'undeliverable',
    scope: 'recipient',
    plan: 'never',
    summary: 'The recipient’s server refused the message for good, for a reason we do not know.',
    remedy: 'Read the server’s own words; ask the recipient’s administrator.',
  },
  'ndr-4.7.500-899': { scope: 'recipient' },
} as const satisfies Partial<Record<ReplyId, Partial<Judgement>>>;
