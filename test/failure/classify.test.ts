import { describe, expect, it } from 'vitest';
import { classify } from '../../src/failure/classify.ts';
import type { Plan, Scope, Trouble } from '../../src/failure/failure.ts';
import { exampleOf } from '../../src/failure/replies.ts';
import { parseReply, STAGES, type Stage } from '../../src/mail/reply.ts';

const AT = new Date('2026-11-23T10:00:00Z');

function said(response: string, stage: Stage, mechanism?: 'LOGIN' | 'XOAUTH2') {
  const reply = parseReply(response, stage);
  if (!reply) throw new Error(`Not a reply: ${response}`);
  return classify({ via: 'smtp', reply, ...(mechanism && { mechanism }) }, AT);
}

function met(message: string, code: string, stage: Stage, command = 'CONN') {
  return classify({ via: 'client', code, command, message, stage }, AT);
}

type Row = [title: string, response: string, stage: Stage, code: string, scope: Scope, plan: Plan];

describe('a reply is known again', () => {
  it.each<Row>([
    [
      'from another host, in lower case',
      '535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. Visit https://aka.ms/smtp_auth_disabled for more information. [lo4p123ca0543.gbrp123.prod.outlook.com 2026-11-01T00:00:00.001Z 08DE000000000000]',
      'auth',
      'auth_smtp_disabled',
      'mailbox',
      'afterFix',
    ],
    [
      'broken in the middle of a word',
      '535 5.7.139 Authentication unsuccessful, SmtpClientAuthen\n tication is dis\nabled for the Mailbox. Visit https://aka.ms/smtp_auth_dis\nabled',
      'auth',
      'auth_smtp_disabled',
      'mailbox',
      'afterFix',
    ],
    [
      'quoted as in a mail',
      '432 4.3.2 Concurrent\n> connections limit\n> > exceeded. Visit https://aka.ms/concurrent_sending',
      'after-dot',
      'connection_limited',
      'mailbox',
      'backoff',
    ],
    [
      'over several lines that repeat the code',
      '554-5.2.0 STOREDRV.Submission.Exception:Submission\n554-5.2.0 QuotaExceededException; Failed to process\n554 5.2.0 message due to a permanent exception',
      'after-dot',
      'daily_quota_exceeded',
      'mailbox',
      'nextWindow',
    ],
    [
      'with quoted-printable line ends',
      '550 5.2.252 Sender throttled due to con=\ntinuous send as denied errors.',
      'after-dot',
      'sender_throttled',
      'mailbox',
      'afterFix',
    ],
    [
      'without its enhanced code',
      '535 Authentication unsuccessful, the request did not meet the criteria to be authenticated successfully.',
      'auth',
      'auth_policy_blocked',
      'mailbox',
      'afterFix',
    ],
    [
      'translated around its English core',
      '535 5.7.139 Échec de l’authentification, SmtpClientAuthentication is disabled for the Tenant. Pour en savoir plus : https://aka.ms/smtp_auth_disabled',
      'auth',
      'auth_smtp_disabled',
      'mailbox',
      'afterFix',
    ],
    [
      'with a typographic apostrophe',
      '535 5.7.139 Authentication unsuccessful, user is locked by your organization’s security defaults policy. Contact your administrator.',
      'auth',
      'auth_policy_blocked',
      'mailbox',
      'afterFix',
    ],
    [
      'in its old wording',
      '432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded',
      'mail',
      'connection_limited',
      'mailbox',
      'backoff',
    ],
    [
      'with the sentence under another code',
      '550 5.2.254 Sender throttled due to continuous invalid recipients errors.',
      'after-dot',
      'sender_throttled',
      'mailbox',
      'afterFix',
    ],
    [
      'with the exception named inside diagnostic data',
      '554 5.2.0 STOREDRV.Submission.Exception:OutboundSpamException; Failed to process message due to a permanent exception with message [BeginDiagnosticData]WASCL UserAction verdict is not None. Actual verdict is RefuseQuota. [EndDiagnosticData] [Hostname=AM9P192MB0935.EURP192.PROD.OUTLOOK.COM]',
      'after-dot',
      'daily_quota_exceeded',
      'mailbox',
      'nextWindow',
    ],
    [
      'in the wording of 2021 with the number of 2023',
      '554 5.2.252 STOREDRV.Submission.Exception:SendAsDeniedException.MapiExceptionSendAsDenied; Failed to process message',
      'after-dot',
      'sender_not_permitted',
      'message',
      'afterFix',
    ],
    [
      'under the general 5.7.1',
      '550 5.7.1 Client does not have permissions to send as this sender',
      'mail',
      'sender_not_permitted',
      'message',
      'afterFix',
    ],
    [
      'in the words of a report, already at submission',
      '550 5.7.708 Service unavailable. Access denied, traffic not accepted from this IP. For more information please go to http://go.microsoft.com/fwlink/?LinkId=526653 [AM0PR01MB0000.eurprd01.prod.exchangelabs.com]',
      'after-dot',
      'tenant_blocked',
      'tenant',
      'afterFix',
    ],
  ])('%s', (_title, response, stage, code, scope, plan) => {
    expect(said(response, stage)).toMatchObject({ code, scope, plan });
  });

  it('behind a reply that only quotes it', () => {
    const failure = said(exampleOf('mail-530-5.7.57-wrapped'), 'mail');
    expect(failure).toMatchObject({ code: 'auth_policy_blocked', scope: 'mailbox', plan: 'afterFix' });
    const other = said(
      '530 5.7.57 Client not authenticated to send mail. Error: 535 5.7.139 Authentication unsuccessful, basic authentication is disabled.',
      'mail',
    );
    expect(other.code).toBe('auth_basic_disabled');
  });

  it('and carried along untouched', () => {
    const response =
      '535 5.7.3 Authentication\u0007 unsuccessful\n> [X.PROD.OUTLOOK.COM 2026-01-01T00:00:00.000Z 08DE]';
    expect(said(response, 'auth').smtp?.response).toBe(response);
  });
});

describe('one enhanced code with several meanings is told apart by its words', () => {
  it.each<Row>([
    [
      '550 5.2.252',
      '550 5.2.252 Sender throttled due to continuous send as denied errors.',
      'after-dot',
      'sender_throttled',
      'mailbox',
      'afterFix',
    ],
    [
      '554 5.2.252',
      '554 5.2.252 SendAsDenied; a@contoso.com not allowed to send as b@contoso.com; STOREDRV.Submission',
      'after-dot',
      'sender_not_permitted',
      'message',
      'afterFix',
    ],
    [
      '5.2.2, our mailbox',
      '554 5.2.2 mailbox full; STOREDRV.Submission.Exception:QuotaExceededException.MapiExceptionShutoffQuotaExceeded',
      'after-dot',
      'mailbox_full',
      'mailbox',
      'afterFix',
    ],
    [
      '5.2.2, our day',
      '550 5.2.2 Submission quota exceeded',
      'after-dot',
      'daily_quota_exceeded',
      'mailbox',
      'nextWindow',
    ],
    ['5.2.2, the recipient', '552 5.2.2 Mailbox full', 'rcpt', 'recipient_mailbox_full', 'recipient', 'never'],
    [
      '432 4.3.2, connections',
      '432 4.3.2 Concurrent connections limit exceeded.',
      'after-dot',
      'connection_limited',
      'mailbox',
      'backoff',
    ],
    [
      '432 4.3.2, threads',
      '432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded',
      'after-dot',
      'connection_limited',
      'mailbox',
      'backoff',
    ],
    [
      '432 4.3.2, the minute',
      '432 4.3.2 STOREDRV.ClientSubmit; exceeded the message limit per account',
      'after-dot',
      'rate_limited',
      'mailbox',
      'nextWindow',
    ],
    [
      '432 4.3.2, the recipient',
      '432 4.3.2 STOREDRV.Deliver; recipient thread limit exceeded',
      'after-dot',
      'recipient_throttled',
      'recipient',
      'backoff',
    ],
    [
      '432 4.3.2, the store',
      '432 4.3.2 STOREDRV.Storage; mailbox server is too busy',
      'after-dot',
      'server_busy',
      'connection',
      'backoff',
    ],
    [
      '554 5.2.0, the day',
      '554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException',
      'after-dot',
      'daily_quota_exceeded',
      'mailbox',
      'nextWindow',
    ],
    [
      '554 5.2.0, Send As',
      '554 5.2.0 STOREDRV.Submission.Exception:SendAsDeniedException.MapiExceptionSendAsDenied',
      'after-dot',
      'sender_not_permitted',
      'message',
      'afterFix',
    ],
    [
      '554 5.2.0, the size',
      '554 5.2.0 STOREDRV.Submission.Exception:MessageSubmissionExceededException',
      'after-dot',
      'message_too_large',
      'message',
      'never',
    ],
    [
      '554 5.2.0, suspended',
      '554 5.2.0 STOREDRV.Submission.Exception:OutboundSpamException; Actual verdict is Suspend',
      'after-dot',
      'sender_blocked',
      'mailbox',
      'afterFix',
    ],
    ['5.2.1, our login', '550 5.2.1 Mailbox cannot be accessed', 'auth', 'mailbox_unavailable', 'mailbox', 'afterFix'],
    [
      '5.2.1, the recipient',
      '550 5.2.1 Mailbox cannot be accessed',
      'rcpt',
      'recipient_rejected',
      'recipient',
      'never',
    ],
    [
      '4.5.3 at RCPT, where the rest goes later',
      '452 4.5.3 Too many recipients',
      'rcpt',
      'too_many_recipients',
      'recipient',
      'backoff',
    ],
    [
      '5.5.3',
      '550 5.5.3 RESOLVER.ADR.RecipLimit; too many recipients',
      'rcpt',
      'too_many_recipients',
      'message',
      'never',
    ],
    [
      '421 4.3.2, connections',
      '421 4.3.2 The maximum number of concurrent connections has exceeded a limit, closing transmission channel',
      'greeting',
      'connection_limited',
      'connection',
      'backoff',
    ],
    ['421 4.3.2, service', '421 4.3.2 Service not available', 'greeting', 'server_busy', 'connection', 'backoff'],
    [
      '421 4.4.2, the minute',
      '421 4.4.2 Message submission rate for this client has exceeded the configured limit',
      'mail',
      'rate_limited',
      'mailbox',
      'nextWindow',
    ],
    [
      '421 4.4.2, dropped',
      '421 4.4.2 Connection dropped due to TimedOut',
      'data',
      'connection_dropped',
      'connection',
      'backoff',
    ],
  ])('%s', (_title, response, stage, code, scope, plan) => {
    expect(said(response, stage)).toMatchObject({ code, scope, plan });
  });

  it('535 5.7.3, by the way of logging in', () => {
    expect(said('535 5.7.3 Authentication unsuccessful', 'auth', 'XOAUTH2').code).toBe('auth_token_invalid');
    expect(said('535 5.7.3 Authentication unsuccessful', 'auth', 'LOGIN').code).toBe('auth_invalid_credentials');
  });
});

describe('the first digit is not believed where it is known to mislead', () => {
  it.each<Row>([
    [
      '451 that must be mended',
      '451 5.7.3 Must issue a STARTTLS command first',
      'mail',
      'tls_required',
      'network',
      'afterFix',
    ],
    [
      '421 that must be mended',
      '421 4.7.66 TLS 1.0 and 1.1 are not supported. Please upgrade/update your client to support TLS 1.2.',
      'ehlo',
      'tls_failed',
      'network',
      'afterFix',
    ],
    [
      '430 that must be mended',
      '430 4.2.0 STOREDRV; mailbox logon failure; STOREDRV.Submission.Exception:ConnectionFailedTransientException.MapiExceptionLogonFailed',
      'after-dot',
      'mailbox_permission_missing',
      'mailbox',
      'afterFix',
    ],
    [
      '554 that waiting cures',
      '554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException',
      'after-dot',
      'daily_quota_exceeded',
      'mailbox',
      'nextWindow',
    ],
    [
      '550 5.1.90 that waiting cures',
      "550 5.1.90 Your message can't be sent because you've reached your daily limit for message recipients",
      'after-dot',
      'daily_quota_exceeded',
      'mailbox',
      'nextWindow',
    ],
    [
      '550 5.2.25x that is not the message’s',
      '550 5.2.253 Sender throttled due to continuous invalid license errors.',
      'after-dot',
      'sender_throttled',
      'mailbox',
      'afterFix',
    ],
    [
      '535 that is not the message’s, wherever it comes',
      '535 5.7.139 Authentication unsuccessful',
      'mail',
      'auth_policy_blocked',
      'mailbox',
      'afterFix',
    ],
    [
      '535 without more',
      '535 Incorrect authentication data',
      'auth',
      'auth_invalid_credentials',
      'mailbox',
      'afterFix',
    ],
    [
      '535 of Postfix',
      '535 5.7.8 Error: authentication failed: UGFzc3dvcmQ6',
      'auth',
      'auth_invalid_credentials',
      'mailbox',
      'afterFix',
    ],
    [
      '554 5.2.0 of a new kind',
      '554 5.2.0 STOREDRV.Submission.Exception:BrandNewException',
      'after-dot',
      'unknown',
      'message',
      'afterFix',
    ],
    [
      '450 that sounds permanent',
      '450 4.7.1 <a@b.example>: Relay access denied',
      'rcpt',
      'routing_failed',
      'recipient',
      'backoff',
    ],
    ['452 of a full recipient', '452 4.2.2 Mailbox full', 'rcpt', 'recipient_mailbox_full', 'recipient', 'backoff'],
    ['450 attribution', '450 4.7.1 Unable to Relay. ATTR14', 'after-dot', 'server_busy', 'connection', 'backoff'],
  ])('%s', (_title, response, stage, code, scope, plan) => {
    expect(said(response, stage)).toMatchObject({ code, scope, plan });
  });
});

describe('what nobody knows', () => {
  it.each(STAGES.map((stage) => [stage]))('is tried again after a 4xx at %s', (stage) => {
    const failure = said('459 4.9.9 something', stage);
    expect(failure.plan).toBe('backoff');
  });

  it.each<[Stage, string, Scope, Plan]>([
    ['connect', 'unknown', 'connection', 'backoff'],
    ['greeting', 'unknown', 'connection', 'backoff'],
    ['ehlo', 'unknown', 'connection', 'backoff'],
    ['tls', 'unknown', 'connection', 'backoff'],
    ['auth', 'unknown', 'mailbox', 'afterFix'],
    ['mail', 'unknown', 'message', 'never'],
    ['rcpt', 'unknown', 'recipient', 'never'],
    ['data', 'unknown', 'message', 'never'],
    ['after-dot', 'unknown', 'message', 'never'],
  ])('and is a 5xx at %s is %s, for the %s: %s', (stage, code, scope, plan) => {
    expect(said('559 5.9.9 something', stage)).toMatchObject({ code, scope, plan });
  });

  it.each([
    ['550 5.1.99 new address trouble', 'rcpt', 'recipientRefused', 'an address'],
    ['550 5.7.999 new policy', 'data', 'messageRefused', 'mail-flow'],
    ['550 5.3.9 new system trouble', 'rcpt', 'unknown', 'the mail system'],
    ['554 5.6.9 new content trouble', 'after-dot', 'messageRefused', 'the content'],
    ['451 4.3.5 system incorrectly configured', 'after-dot', 'serviceUnavailable', 'the mail system'],
    ['553 sender odd', 'mail', 'senderRefused', '553'],
    ['553 mailbox name not allowed', 'rcpt', 'recipientRefused', '553'],
  ] as const)('%s at %s is still a %s to a program', (response, stage, category, words) => {
    const failure = said(response, stage);
    expect(failure.category).toBe(category);
    expect(failure.summary).toContain(words);
  });

  it('is said to be unknown', () => {
    expect(said('550 5.3.9 new', 'rcpt')).toMatchObject({ code: 'unknown' });
    expect(said('550 5.3.9 new', 'rcpt').summary).toMatch(/^Not recognised/);
  });

  it('is never a message’s failure before MAIL FROM', () => {
    for (const stage of ['connect', 'greeting', 'ehlo', 'tls', 'auth'] as const)
      for (const response of [
        '550 5.7.1 no',
        '554 5.1.1 no',
        '500 5.5.1 no',
        '552 5.3.4 no',
        '550 5.5.3 no',
        '421 no',
        '501 no',
      ])
        expect({ response, stage, ...said(response, stage) }).not.toMatchObject({ scope: 'message' });
  });

  it('is never given up for good before MAIL FROM', () => {
    for (const stage of ['connect', 'greeting', 'ehlo', 'tls', 'auth'] as const)
      for (const response of ['550 5.7.1 no', '554 5.1.1 no', '554 no', '500 5.5.1 no', '550 5.5.3 no', '521 no'])
        expect(said(response, stage).plan, `${response} at ${stage}`).not.toBe('never');
  });

  it('stops only the one recipient at RCPT TO', () => {
    expect(said('550 5.7.1 no', 'rcpt')).toMatchObject({ scope: 'recipient', plan: 'never' });
    expect(said('550 5.7.1 TRANSPORT.RULES.RejectMessage', 'rcpt').scope).toBe('recipient');
  });
});

describe('where no server spoke', () => {
  it.each<[string, string, Stage, string, Scope, Plan]>([
    ['getaddrinfo ENOTFOUND smtp.offce365.com', 'EDNS', 'connect', 'dns_failed', 'network', 'backoff'],
    ['queryA ETIMEOUT smtp.office365.com', 'EDNS', 'connect', 'dns_failed', 'network', 'backoff'],
    ['connect ECONNREFUSED 127.0.0.1:587', 'ESOCKET', 'connect', 'connection_failed', 'network', 'backoff'],
    ['Greeting never received', 'ETIMEDOUT', 'connect', 'timeout', 'network', 'backoff'],
    ['Timeout', 'ETIMEDOUT', 'data', 'timeout', 'connection', 'backoff'],
    ['Connection closed unexpectedly', 'ECONNECTION', 'mail', 'connection_dropped', 'connection', 'backoff'],
    ['self-signed certificate in certificate chain', 'ESOCKET', 'connect', 'tls_failed', 'network', 'afterFix'],
    ['unable to verify the first certificate', 'ESOCKET', 'tls', 'tls_failed', 'network', 'afterFix'],
    ['certificate has expired', 'ESOCKET', 'tls', 'tls_failed', 'network', 'afterFix'],
    [
      "Hostname/IP does not match certificate's altnames: Host: localhost. is not in the cert's altnames: DNS:x",
      'ESOCKET',
      'tls',
      'tls_failed',
      'network',
      'afterFix',
    ],
    [
      'Error upgrading connection with STARTTLS: 454 4.7.0 TLS not available',
      'ETLS',
      'tls',
      'tls_required',
      'network',
      'backoff',
    ],
    ['token request failed: no answer in time', 'EOAUTH2', 'auth', 'token_unavailable', 'tenant', 'backoff'],
    [
      'token request failed: ECONNREFUSED connect ECONNREFUSED 127.0.0.1:443',
      'EOAUTH2',
      'auth',
      'token_unavailable',
      'tenant',
      'backoff',
    ],
    ['Message size larger than allowed 35882577', 'EMESSAGE', 'mail', 'message_too_large', 'message', 'never'],
    [
      'The final dot was not sent: no leave to send it',
      'ABANDONED',
      'data',
      'connection_dropped',
      'message',
      'backoff',
    ],
  ])('%s (%s at %s) is %s', (message, code, stage, fine, scope, plan) => {
    const failure = met(message, code, stage);
    expect(failure).toMatchObject({ code: fine, scope, plan });
    expect(failure.smtp).toBeUndefined();
  });

  it.each([
    ['Connection closed unexpectedly', 'ECONNECTION'],
    ['read ECONNRESET', 'ESOCKET'],
    ['Timeout', 'ETIMEDOUT'],
    ['anything at all', undefined],
  ])('after the final dot nobody knows: %s', (message, code) => {
    const failure = classify({ via: 'client', ...(code && { code }), message, stage: 'after-dot' }, AT);
    expect(failure).toMatchObject({
      category: 'outcomeUnknown',
      code: 'outcome_unknown',
      scope: 'message',
      plan: 'never',
    });
  });

  it('an error nobody knows is tried again, and quoted on one harmless line', () => {
    const failure = met('oh\u001b[2J\r\nno\u202e', 'EWEIRD', 'mail');
    expect(failure).toMatchObject({ category: 'unknown', code: 'unknown', scope: 'message', plan: 'backoff' });
    expect(failure.summary).toContain('EWEIRD: oh\\u{1b}[2J\\u{d}\\u{a}no\\u{202e}');
  });
});

describe('a server’s reply counts more than the library’s code', () => {
  it.each<[string, string, string, Stage, string]>([
    [
      'Invalid login: 535 5.7.139 Authentication unsuccessful, basic authentication is disabled.',
      'EAUTH',
      'AUTH LOGIN',
      'auth',
      'auth_basic_disabled',
    ],
    [
      'Message failed: 432 4.3.2 Concurrent connections limit exceeded.',
      'EMESSAGE',
      'DATA',
      'after-dot',
      'connection_limited',
    ],
    [
      'Mail command failed: 451 4.7.0 Temporary server error. Please try again later. PRX2',
      'EENVELOPE',
      'MAIL FROM',
      'mail',
      'server_busy',
    ],
    ["Can't send mail - all recipients were rejected: 450 4.2.1 greylisted", 'EENVELOPE', 'RCPT TO', 'rcpt', 'unknown'],
    [
      'Invalid greeting. response=421 4.3.2 Service not available: 421 4.3.2 Service not available',
      'EPROTOCOL',
      'CONN',
      'greeting',
      'server_busy',
    ],
  ])('%s', (message, code, command, stage, fine) => {
    const failure = met(message, code, stage, command);
    expect(failure.code).toBe(fine);
    expect(failure.plan).not.toBe('never');
    expect(failure.smtp?.response).toMatch(/^\d{3} /);
  });
});

describe('the token endpoint', () => {
  it.each<[string, Extract<Trouble, { via: 'token' }>, string, Scope, Plan]>([
    [
      'a wrong secret',
      {
        via: 'token',
        httpStatus: 401,
        error: 'invalid_client',
        description: 'AADSTS7000215: Invalid client secret provided.',
      },
      'token_credentials_invalid',
      'tenant',
      'afterFix',
    ],
    [
      'a number broken by a line end',
      { via: 'token', httpStatus: 401, error: 'invalid_client', description: 'AADSTS700\n0222: keys are expired' },
      'token_credentials_invalid',
      'tenant',
      'afterFix',
    ],
    [
      'a number nobody knows',
      { via: 'token', httpStatus: 400, error: 'invalid_client', description: 'AADSTS7009999: new' },
      'token_credentials_invalid',
      'tenant',
      'afterFix',
    ],
    [
      'a longer number than one we know',
      { via: 'token', httpStatus: 400, error: 'unauthorized_client', description: 'AADSTS7000161: new' },
      'token_config_invalid',
      'tenant',
      'afterFix',
    ],
    [
      'an OAuth error without a number',
      { via: 'token', httpStatus: 400, error: 'invalid_scope' },
      'token_config_invalid',
      'tenant',
      'afterFix',
    ],
    ['a 503', { via: 'token', httpStatus: 503 }, 'token_unavailable', 'tenant', 'backoff'],
    [
      'a 503 that claims more',
      { via: 'token', httpStatus: 503, error: 'invalid_client', description: 'try later' },
      'token_unavailable',
      'tenant',
      'backoff',
    ],
    ['a 550, which is no SMTP reply', { via: 'token', httpStatus: 550 }, 'token_unavailable', 'tenant', 'backoff'],
    ['a 429', { via: 'token', httpStatus: 429, error: 'invalid_request' }, 'token_unavailable', 'tenant', 'backoff'],
    [
      'a passing fault',
      {
        via: 'token',
        httpStatus: 400,
        error: 'temporarily_unavailable',
        description: 'AADSTS90033: A transient error has occurred.',
      },
      'token_unavailable',
      'tenant',
      'backoff',
    ],
    ['no word at all', { via: 'token' }, 'token_unavailable', 'tenant', 'backoff'],
    ['a page that is not Entra’s', { via: 'token', httpStatus: 404 }, 'token_config_invalid', 'tenant', 'afterFix'],
  ])('%s', (_title, trouble, code, scope, plan) => {
    const failure = classify(trouble, AT);
    expect(failure).toMatchObject({ code, scope, plan, at: '2026-11-23T10:00:00.000Z' });
    expect(failure.smtp).toBeUndefined();
  });
});

describe('where no SMTP server spoke, the failure keeps what was said instead:', () => {
  it.each<[string, Trouble, string]>([
    [
      'Entra ID’s sentence, with the ids that Microsoft asks for',
      {
        via: 'token',
        httpStatus: 401,
        error: 'invalid_client',
        description: 'AADSTS7000215: Invalid client secret provided.\r\nTrace ID: 3f1 Correlation ID: 8c2',
      },
      'HTTP 401 invalid_client AADSTS7000215: Invalid client secret provided.\\u{d}\\u{a}Trace ID: 3f1 Correlation ID: 8c2',
    ],
    ['an overloaded front end’s status', { via: 'token', httpStatus: 503 }, 'HTTP 503'],
    [
      'which address refused us',
      { via: 'client', code: 'ESOCKET ECONNREFUSED', message: 'connect ECONNREFUSED 52.97.0.1:587', stage: 'connect' },
      'ESOCKET ECONNREFUSED: connect ECONNREFUSED 52.97.0.1:587',
    ],
    [
      'how the connection was lost behind the dot',
      { via: 'client', code: 'ESOCKET', message: 'read ECONNRESET', stage: 'after-dot' },
      'ESOCKET: read ECONNRESET',
    ],
  ])('%s', (_title, trouble, detail) => {
    expect(classify(trouble, AT).detail).toBe(detail);
  });

  it('on one line, and bounded', () => {
    const { detail } = classify({ via: 'client', message: `x\n\u202e${'y'.repeat(5_000)}`, stage: 'connect' }, AT);
    expect(detail?.length).toBeLessThan(1_100);
    expect(detail).not.toMatch(/[\n\u202e]/);
  });
});
