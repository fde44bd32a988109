import { EXCEPTIONS } from './catalogue-exceptions.ts';
import type { Code } from './codes.ts';
import type { Category, Plan, Scope } from './failure.ts';

/** What we make of a known reply. Our judgement, not Microsoft's words: those are in the replies files. */
export interface Judgement {
  category: Category;
  scope: Scope;
  plan: Plan;
  /** One sentence: what it means and whose fault it is. */
  summary: string;
  /** What a person can do. PowerShell only where Microsoft documents it. */
  remedy: string;
  docsUrl?: string;
}

const NDR_CODES =
  'https://learn.microsoft.com/exchange/troubleshoot/email-delivery/ndr/non-delivery-reports-in-exchange-online';
const LIMITS =
  'https://learn.microsoft.com/office365/servicedescriptions/exchange-online-service-description/exchange-online-limits';
const OAUTH =
  'https://learn.microsoft.com/exchange/client-developer/legacy-protocols/how-to-authenticate-an-imap-pop-smtp-application-by-using-oauth';
const ENTRA_CODES = 'https://learn.microsoft.com/entra/identity-platform/reference-error-codes';

/**
 * One judgement for each fine class. `never` is kept for what neither waiting nor fixing cures: in doubt another plan.
 * Entries that differ from their class are in catalogue-exceptions.ts.
 */
export const JUDGEMENTS = {
  auth_invalid_credentials: {
    category: 'authentication',
    scope: 'mailbox',
    plan: 'afterFix',
    summary: 'Microsoft 365 refused the user name or password of the sending mailbox: the credentials are at fault.',
    remedy:
      'Sign in to Outlook on the web with the same user name and password, correct the configuration, then release the mailbox. Do not try passwords in quick succession: repeated failures lock the account.',
  },
  auth_basic_disabled: {
    category: 'authentication',
    scope: 'mailbox',
    plan: 'afterFix',
    summary: 'The organisation or Microsoft has switched off password sign-in for SMTP; the password may be right.',
    remedy:
      'Configure the mailbox for OAuth client credentials. As a stop-gap an administrator may allow basic SMTP in the authentication policy of this account.',
    docsUrl: OAUTH,
  },
  auth_smtp_disabled: {
    category: 'authentication',
    scope: 'mailbox',
    plan: 'afterFix',
    summary: 'Authenticated SMTP is switched off for this mailbox or its organisation; this blocks OAuth as well.',
    remedy:
      'An Exchange administrator runs: Set-CASMailbox -Identity <mailbox> -SmtpClientAuthenticationDisabled $false. It can take an hour or more to apply.',
    docsUrl: 'https://aka.ms/smtp_auth_disabled',
  },
  auth_policy_blocked: {
    category: 'authentication',
    scope: 'mailbox',
    plan: 'afterFix',
    summary: 'A sign-in policy of the organisation refused the login; the password or token may be right.',
    remedy:
      'Find the attempt in the Entra sign-in log, which names the policy. Move to OAuth client credentials, or have the account or our egress address exempted.',
  },
  auth_account_locked: {
    category: 'authentication',
    scope: 'mailbox',
    plan: 'afterFix',
    summary: 'The account of the sending mailbox is locked or disabled, often after repeated wrong passwords.',
    remedy:
      'Stop everything that logs in with an old password, unlock or enable the account in Entra ID, change the password, then release the mailbox.',
  },
  auth_token_invalid: {
    category: 'authentication',
    scope: 'mailbox',
    plan: 'afterFix',
    summary: 'Exchange Online refused the OAuth token without a reason: usually the permission or its set-up is wrong.',
    remedy:
      'Check that the token is for https://outlook.office365.com with SMTP.SendAsApp, that New-ServicePrincipal was run with the object id of the Enterprise application (not of the app registration), and that it may use the mailbox: Add-MailboxPermission -Identity <mailbox> -User <service principal> -AccessRights FullAccess.',
    docsUrl: OAUTH,
  },
  auth_token_expired: {
    category: 'authentication',
    scope: 'mailbox',
    plan: 'backoff',
    summary: 'Exchange Online found the OAuth token expired or too short-lived; a fresh one usually cures it.',
    remedy: 'Nothing, if it passes by itself. If it stays, correct the clock of this host (NTP).',
  },
  auth_required: {
    category: 'authentication',
    scope: 'mailbox',
    plan: 'afterFix',
    summary: 'The server does not regard us as logged in: no credentials were used or the login was refused before.',
    remedy: 'Configure credentials for this mailbox, and smtp.office365.com on port 587 with STARTTLS.',
    docsUrl: NDR_CODES,
  },
  auth_mechanism_unsupported: {
    category: 'configuration',
    scope: 'mailbox',
    plan: 'afterFix',
    summary: 'The server does not offer the way of logging in that was tried; Microsoft 365 offers LOGIN and XOAUTH2.',
    remedy: 'Check host and port (smtp.office365.com, 587) and that nothing between rewrites SMTP.',
  },
  auth_unavailable: {
    category: 'serviceUnavailable',
    scope: 'connection',
    plan: 'backoff',
    summary: 'The server cannot check logins at the moment; the fault is on its side.',
    remedy: 'Nothing: it is tried again. If it lasts for hours, look at the Microsoft 365 service health page.',
  },
  auth_federation_failed: {
    category: 'authentication',
    scope: 'mailbox',
    plan: 'backoff',
    summary: 'The organisation’s own federation server (AD FS) could not be reached to check the login.',
    remedy: 'Restore the federation server, or send from a cloud-only account.',
  },
  token_credentials_invalid: {
    category: 'authentication',
    scope: 'tenant',
    plan: 'afterFix',
    summary: 'Entra ID refused the application’s secret or certificate: it is wrong or has expired.',
    remedy:
      'Create a new secret or certificate for the app registration and configure it. A secret has an id and a value: the value is needed.',
    docsUrl: ENTRA_CODES,
  },
  token_config_invalid: {
    category: 'configuration',
    scope: 'tenant',
    plan: 'afterFix',
    summary: 'Entra ID did not accept the token request: tenant, client id, authority or scope is set up wrongly.',
    remedy:
      'Check tenant id, client id and authority, and that the scope is https://outlook.office365.com/.default (or its national-cloud counterpart).',
    docsUrl: ENTRA_CODES,
  },
  token_consent_missing: {
    category: 'authentication',
    scope: 'tenant',
    plan: 'afterFix',
    summary: 'The application has not been given the permission that it asks for in this organisation.',
    remedy:
      'Add the application permission Office 365 Exchange Online > SMTP.SendAsApp to the app registration and have an administrator grant consent.',
    docsUrl: OAUTH,
  },
  token_grant_expired: {
    category: 'authentication',
    scope: 'mailbox',
    plan: 'afterFix',
    summary: 'The consent or refresh token behind this login has expired or was revoked.',
    remedy: 'Go through the consent again, or use OAuth client credentials, which need no refresh token.',
    docsUrl: ENTRA_CODES,
  },
  token_policy_blocked: {
    category: 'authentication',
    scope: 'mailbox',
    plan: 'afterFix',
    summary: 'A Conditional Access, MFA or security policy keeps Entra ID from issuing a token.',
    remedy:
      'Find the attempt in the Entra sign-in log and have the policy adjusted, or use OAuth client credentials, which need no person to sign in.',
    docsUrl: ENTRA_CODES,
  },
  token_unavailable: {
    category: 'serviceUnavailable',
    // Not the network's, which is all of the SMTP host: other applications and mailboxes with passwords go on there.
    scope: 'tenant',
    plan: 'backoff',
    summary: 'The token endpoint of Entra ID is overloaded, failing or out of reach; no login has been refused.',
    remedy:
      'It is tried again by itself. If it lasts, check M365_AUTHORITY, DNS, and that this host reaches it over HTTPS, through whatever proxy or firewall stands between.',
  },
  mailbox_permission_missing: {
    category: 'mailboxUnusable',
    scope: 'mailbox',
    plan: 'afterFix',
    summary: 'The login passed, but the application has no rights on this mailbox: the permission was never granted.',
    remedy:
      'An Exchange administrator runs: Add-MailboxPermission -Identity <mailbox> -User <service principal> -AccessRights FullAccess. The service principal must have been made with the object id of the Enterprise application. It can take an hour to apply.',
    docsUrl: OAUTH,
  },
  mailbox_unavailable: {
    category: 'mailboxUnusable',
    scope: 'mailbox',
    plan: 'afterFix',
    summary: 'The account that we log in with has no usable mailbox: unlicensed, disabled or blocked.',
    remedy: 'Give the account an Exchange Online licence, and check that its sign-in is not blocked.',
  },
  mailbox_full: {
    category: 'mailboxUnusable',
    scope: 'mailbox',
    plan: 'afterFix',
    summary: 'The sending mailbox is full, often of copies in Sent Items; Exchange accepts nothing more from it.',
    remedy:
      'Empty Sent Items or set a retention policy. To keep no copies: Set-Mailbox -Identity <mailbox> -MessageCopyForSMTPClientSubmissionEnabled $false.',
    docsUrl: 'https://aka.ms/mailboxfull',
  },
  sender_not_permitted: {
    category: 'senderRefused',
    scope: 'message',
    plan: 'afterFix',
    summary: 'The mailbox we log in as may not send with this From address: it lacks the Send As right.',
    remedy:
      'Use the mailbox’s own address as From, or run: Add-RecipientPermission -Identity <From address> -Trustee <mailbox> -AccessRights SendAs. Then retry the message. Repeated refusals make Microsoft throttle the whole mailbox.',
  },
  sender_invalid: {
    category: 'senderRefused',
    scope: 'message',
    plan: 'never',
    summary: 'The server does not accept the sender address as an address.',
    remedy: 'Submit the message again with a valid From address.',
  },
  sender_blocked: {
    category: 'senderBlocked',
    scope: 'mailbox',
    plan: 'afterFix',
    summary: 'Microsoft has blocked this sender for outbound spam or suspicious behaviour.',
    remedy:
      'Secure the account, then release it under Restricted entities in the Microsoft Defender portal. Check the limits of the outbound spam policy.',
    docsUrl: NDR_CODES,
  },
  sender_throttled: {
    category: 'senderBlocked',
    scope: 'mailbox',
    plan: 'afterFix',
    summary: 'Microsoft has shut SMTP for the whole mailbox because the same error was repeated too often.',
    remedy:
      'Cure the error that the reply names, send nothing more from this mailbox by any program, and wait: Microsoft does not say how long, and its support cannot lift it.',
  },
  recipient_invalid: {
    category: 'recipientRefused',
    scope: 'recipient',
    plan: 'never',
    summary: 'The recipient’s address or domain is not valid.',
    remedy: 'Correct the address and submit the message again.',
    docsUrl: NDR_CODES,
  },
  recipient_unknown: {
    category: 'recipientRefused',
    scope: 'recipient',
    plan: 'never',
    summary: 'The recipient does not exist.',
    remedy: 'Correct the address or take it off your lists.',
    docsUrl: NDR_CODES,
  },
  recipient_rejected: {
    category: 'recipientRefused',
    scope: 'recipient',
    plan: 'never',
    summary: 'The recipient or the recipient’s organisation does not accept mail from this sender.',
    remedy: 'Ask the recipient’s administrator to allow the sender; the mailbox or group may be restricted.',
    docsUrl: NDR_CODES,
  },
  recipient_throttled: {
    category: 'throttled',
    scope: 'recipient',
    plan: 'nextWindow',
    summary: 'The recipient’s mailbox is receiving too much mail at once; our mailbox is not at fault.',
    remedy: 'Send less per hour to this recipient.',
    docsUrl: LIMITS,
  },
  recipient_mailbox_full: {
    category: 'recipientRefused',
    scope: 'recipient',
    plan: 'never',
    summary: 'The recipient’s mailbox is full.',
    remedy: 'Tell the recipient by another way, and submit the message again some days later.',
  },
  too_many_recipients: {
    category: 'messageRefused',
    scope: 'message',
    plan: 'never',
    summary: 'The message has more recipients than the mailbox or the server allows in one envelope.',
    remedy:
      'Submit it in parts. An administrator may raise the mailbox’s limit to at most 1000: Set-Mailbox -Identity <mailbox> -RecipientLimits <number>.',
    docsUrl: LIMITS,
  },
  rate_limited: {
    category: 'throttled',
    scope: 'mailbox',
    plan: 'nextWindow',
    summary: 'The mailbox sent more messages than Microsoft allows in a minute; nothing is wrong with the message.',
    remedy:
      'Nothing: sending goes on by itself. If it recurs, another program uses the same mailbox, or the configured pace is above 30 a minute.',
    docsUrl: LIMITS,
  },
  connection_limited: {
    category: 'throttled',
    scope: 'mailbox',
    plan: 'backoff',
    summary: 'More connections than Microsoft allows (3) were submitting through this mailbox at once.',
    remedy:
      'Nothing for this message: it was not accepted and is sent again. If it recurs, another program or a second gateway uses the same mailbox.',
    docsUrl: 'https://aka.ms/concurrent_sending',
  },
  daily_quota_exceeded: {
    category: 'quotaExceeded',
    scope: 'mailbox',
    plan: 'nextWindow',
    summary: 'The mailbox has used up its recipients for 24 hours; it looks permanent, but the next window cures it.',
    remedy:
      'Wait, spread the load over several mailboxes, or use High Volume Email or Azure Communication Services for bulk.',
    docsUrl: LIMITS,
  },
  tenant_quota_exceeded: {
    category: 'quotaExceeded',
    scope: 'tenant',
    plan: 'nextWindow',
    summary: 'The organisation has used up its external recipients for 24 hours; no mailbox of it can send outside.',
    remedy: 'Wait for the window to roll, buy licences, or move bulk mail to Azure Communication Services.',
    docsUrl: NDR_CODES,
  },
  tenant_blocked: {
    category: 'senderBlocked',
    scope: 'tenant',
    plan: 'afterFix',
    summary: 'Microsoft does not accept mail from this organisation, as suspicious or too new.',
    remedy:
      'Secure compromised accounts and connectors, verify every From domain, and ask Microsoft support to lift the block.',
    docsUrl: NDR_CODES,
  },
  ip_blocked: {
    category: 'undeliverable',
    scope: 'recipient',
    plan: 'never',
    summary: 'The receiving side does not accept mail from the IP address that delivered it.',
    remedy:
      'If the address is Microsoft’s, open a support case with Microsoft. If it is yours, ask for its removal at https://sender.office.com.',
    docsUrl: NDR_CODES,
  },
  message_too_large: {
    category: 'messageRefused',
    scope: 'message',
    plan: 'never',
    summary: 'The message is larger than the mailbox or the server allows.',
    remedy:
      'Send links instead of large attachments. An administrator may raise the limit to at most 150 MB: Set-Mailbox -Identity <mailbox> -MaxSendSize <size>.',
    docsUrl: LIMITS,
  },
  message_malformed: {
    category: 'messageRefused',
    scope: 'message',
    plan: 'never',
    summary: 'The message is not built as the server demands: its headers, MIME structure or line ends are at fault.',
    remedy: 'Correct the message and submit it again; for a message composed here, report it as a fault of Postroom.',
    docsUrl: NDR_CODES,
  },
  content_rejected: {
    category: 'messageRefused',
    scope: 'message',
    plan: 'never',
    summary: 'A mail-flow, compliance or authentication rule refused the message, on our side or the recipient’s.',
    remedy: 'Ask the administrator of the side that refused which rule it was; the reply usually names it.',
    docsUrl: NDR_CODES,
  },
  extension_not_offered: {
    category: 'messageRefused',
    scope: 'message',
    plan: 'never',
    summary:
      'The message needs what the server does not offer: SMTPUTF8 for an address outside ASCII, or 8BITMIME for a raw message with 8-bit content; nothing was sent.',
    remedy:
      'Use an address in ASCII for this recipient, or encode the content of the raw message (quoted-printable, base64), and submit it anew. Exchange Online offers both: also check that no relay stands between.',
  },
  delivery_expired: {
    category: 'undeliverable',
    scope: 'recipient',
    plan: 'never',
    summary: 'Exchange Online tried to deliver for up to a day and gave up: the recipient’s server did not take it.',
    remedy: 'Ask the recipient’s side, then submit a new message.',
    docsUrl: NDR_CODES,
  },
  routing_failed: {
    category: 'undeliverable',
    scope: 'recipient',
    plan: 'never',
    summary: 'The recipient’s domain is set up so that mail cannot reach it: DNS, a loop or a server that refuses it.',
    remedy: 'The recipient’s administrator must correct MX records, forwarding or connectors.',
    docsUrl: NDR_CODES,
  },
  remote_tls_failed: {
    category: 'undeliverable',
    scope: 'recipient',
    plan: 'never',
    summary: 'Exchange Online could not make the encrypted connection that the recipient’s domain demands.',
    remedy: 'The recipient’s administrator must correct the certificate, MTA-STS policy or DANE records.',
    docsUrl: NDR_CODES,
  },
  tls_required: {
    category: 'tls',
    scope: 'network',
    plan: 'afterFix',
    summary: 'The connection was not encrypted and must be: STARTTLS was refused, missing or stripped on the way.',
    remedy:
      'Use port 587 of smtp.office365.com, and look for a firewall or proxy that inspects SMTP. Encryption is never dropped.',
  },
  tls_failed: {
    category: 'tls',
    scope: 'network',
    plan: 'afterFix',
    summary: 'No trustworthy encrypted connection could be made; nothing was sent over it.',
    remedy:
      'Find out who issued the certificate (openssl s_client -starttls smtp -connect <host>:587). If it is a proxy of your own, trust its authority (M365_SMTP_CA_FILE or NODE_EXTRA_CA_CERTS). Verification is never switched off.',
  },
  connection_failed: {
    category: 'connection',
    scope: 'network',
    plan: 'backoff',
    summary: 'No connection to the server could be made; the network, a firewall or the port is at fault.',
    remedy: 'Open TCP port 587 to the server for this host. Microsoft 365 does not serve port 465.',
  },
  connection_dropped: {
    category: 'connection',
    scope: 'connection',
    plan: 'backoff',
    summary: 'The connection was lost before the message was handed over; it cannot have been accepted.',
    remedy: 'Nothing: it is tried again. If it recurs, look for a firewall or proxy that cuts SMTP sessions.',
  },
  dns_failed: {
    category: 'connection',
    scope: 'network',
    plan: 'backoff',
    summary: 'The server’s name could not be resolved; DNS or the configured host name is at fault.',
    remedy: 'Check the spelling of the host name and the name servers of this host or container.',
  },
  timeout: {
    category: 'connection',
    scope: 'connection',
    plan: 'backoff',
    summary: 'The server stopped answering before the message was handed over; it cannot have been accepted.',
    remedy: 'Nothing: it is tried again. If it recurs, look for a firewall that drops packets to port 587.',
  },
  outcome_unknown: {
    category: 'outcomeUnknown',
    scope: 'message',
    plan: 'never',
    summary:
      'The connection was lost after the message may have been handed over: nobody knows whether it was accepted.',
    remedy:
      'Look for its Message-ID in message trace or Sent Items. Then resolve it as sent, or retry it: that sends the same Message-ID and Date, and may arrive twice.',
  },
  server_busy: {
    category: 'serviceUnavailable',
    scope: 'connection',
    plan: 'backoff',
    summary: 'The server is temporarily unable to serve; the fault is on its side.',
    remedy: 'Nothing: it is tried again. If it lasts for hours, look at the Microsoft 365 service health page.',
  },
  protocol_error: {
    category: 'connection',
    scope: 'connection',
    plan: 'backoff',
    summary: 'The conversation went wrong: something between us and the server changes SMTP, or it is no SMTP server.',
    remedy: 'Check host and port, and switch off SMTP inspection on firewalls in between.',
  },
  client_config_invalid: {
    category: 'configuration',
    scope: 'mailbox',
    plan: 'afterFix',
    summary: 'The gateway is set up wrongly for this server; no message can pass until that is corrected.',
    remedy: 'Compare the configuration of this mailbox with the reply, then release the mailbox.',
  },
  unknown: {
    category: 'unknown',
    scope: 'message',
    plan: 'backoff',
    summary: 'Not recognised.',
    remedy: 'Read the server’s own words. Please report the reply so that it can be added to the catalogue.',
  },
} as const satisfies Record<Code, Judgement>;

/** Our judgement of one entry: its class's, save for what is said of this entry alone. */
export function judgementOf(code: Code, id?: string): Judgement {
  return { ...JUDGEMENTS[code], ...(id !== undefined && (EXCEPTIONS as Record<string, Partial<Judgement>>)[id]) };
}
