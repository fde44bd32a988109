import { describe, expect, it } from 'vitest';
import { classifyText } from '../../src/failure/classify-text.ts';
import { KNOWN_REPLIES } from '../../src/failure/replies.ts';

const AT = new Date('2026-11-23T10:00:00Z');

describe('a pasted text is explained', () => {
  it.each<[string, string, Partial<ReturnType<typeof classifyText>>]>([
    [
      'nodemailer',
      "Error: Invalid login: 535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. Visit https://aka.ms/smtp_auth_disabled for more information. [FR0P281CA0001.DEUP281.PROD.OUTLOOK.COM 2026-11-01T10:00:00.000Z 08DE]\n    at SMTPConnection._formatError (/app/node_modules/nodemailer/lib/smtp-connection/index.js:790:19) {\n  code: 'EAUTH',\n  responseCode: 535",
      { code: 'auth_smtp_disabled', scope: 'mailbox', plan: 'afterFix' },
    ],
    [
      'Python',
      "smtplib.SMTPAuthenticationError: (535, b'5.7.139 Authentication unsuccessful, the user credentials were incorrect. [X.PROD.OUTLOOK.COM 2026-01-01T00:00:00.000Z 08DE]')",
      { code: 'auth_invalid_credentials', plan: 'afterFix' },
    ],
    [
      'Python, after DATA',
      "smtplib.SMTPDataError: (554, b'5.2.0 STOREDRV.Submission.Exception:OutboundSpamException; Failed to process message due to a permanent exception with message [BeginDiagnosticData]WASCL UserAction verdict is not None. Actual verdict is Suspend, ShowTierUpgrade. [EndDiagnosticData] [Hostname=A.PROD.OUTLOOK.COM]')",
      { code: 'sender_blocked', scope: 'mailbox', plan: 'afterFix' },
    ],
    [
      'Python, debug level',
      "reply: retcode (535); Msg: b'5.7.3 Authentication unsuccessful [LO2P265CA0061.GBRP265.PROD.OUTLOOK.COM]'",
      { code: 'auth_invalid_credentials' },
    ],
    [
      'Python, refused recipients',
      "SMTPRecipientsRefused: {'a@b.example': (550, b'5.1.1 <a@b.example>: Recipient address rejected: User unknown')}",
      { code: 'recipient_unknown', scope: 'recipient', plan: 'never' },
    ],
    [
      '.NET',
      'System.Net.Mail.SmtpException: The SMTP server requires a secure connection or the client was not authenticated. The server response was: 5.7.57 Client not authenticated to send mail. Error: 535 5.7.139 Authentication unsuccessful, basic authentication is disabled.',
      { code: 'auth_basic_disabled' },
    ],
    [
      '.NET, STARTTLS',
      'The SMTP server requires a secure connection or the client was not authenticated. The server response was: 5.7.0 Must issue a STARTTLS command first',
      { code: 'tls_required', plan: 'afterFix' },
    ],
    [
      '.NET, in Portuguese',
      'Falha na transação. A resposta do servidor foi: 5.2.2 Mailbox full. Visit https://aka.ms/mailboxfull for more information.; STOREDRV.Submission.Exception:QuotaExceededException.MapiExceptionQuotaExceeded',
      { code: 'mailbox_full', scope: 'mailbox', plan: 'afterFix' },
    ],
    [
      'MailKit',
      'MailKit.Security.AuthenticationException: 535: 5.7.3 Authentication unsuccessful [VI1PR09.eurprd09.prod.outlook.com 2024-03-20T10:27:56.998Z 08DC48BE] at MailKit.Net.Smtp.SaslMechanismOAuth2',
      { code: 'auth_token_invalid' },
    ],
    [
      'Postfix',
      'Nov  3 10:00:00 relay postfix/smtp[123]: 53C2C140E40: to=<a@b.example>, relay=smtp.office365.com[52.97.0.1]:587, delay=3.1, dsn=4.3.2, status=deferred (host smtp.office365.com[52.97.0.1] said: 432 4.3.2 Concurrent connections limit exceeded. Visit https://aka.ms/concurrent_sending for more information. [Hostname=P212321.PROD.OUTLOOK.COM] (in reply to end of DATA command))',
      { code: 'connection_limited', plan: 'backoff' },
    ],
    [
      'PHPMailer',
      'SMTP Error: data not accepted.SMTP server error: DATA END command failed Detail: STOREDRV.Submission.Exception:SubmissionQuotaExceededException; SMTP code: 554 Additional SMTP info: 5.2.0',
      { code: 'daily_quota_exceeded', plan: 'nextWindow' },
    ],
    [
      'a sentence without any code',
      'Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox.',
      { code: 'auth_smtp_disabled' },
    ],
    [
      'a report',
      'Diagnostic-Code: smtp;550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup',
      { code: 'recipient_unknown', scope: 'recipient' },
    ],
    [
      'a report of a full mailbox',
      "Remote Server returned '554 5.2.2 mailbox full; STOREDRV.Deliver.Exception:QuotaExceededException.MapiExceptionShutoffQuotaExceeded'",
      { code: 'recipient_mailbox_full' },
    ],
    [
      'Entra',
      '{"error":"invalid_client","error_description":"AADSTS7000222: The provided client secret keys for app \'x\' are expired.","error_codes":[7000222]}',
      { code: 'token_credentials_invalid', scope: 'tenant' },
    ],
    [
      'Entra, only a number',
      'MsalServiceException: AADSTS700016: Application with identifier was not found in the directory',
      { code: 'token_config_invalid' },
    ],
    [
      'a token endpoint’s 503',
      'Failed to fetch token: 503 Service Unavailable',
      { code: 'token_unavailable', plan: 'backoff' },
    ],
    ['Go', 'dial tcp: lookup smtp.office365.com on 127.0.0.11:53: no such host', { code: 'dns_failed' }],
    [
      'Postfix without a reply',
      'connect to smtp.office365.com[52.97.0.1]:587: Connection timed out',
      { code: 'timeout', scope: 'network' },
    ],
    [
      'Postfix after the dot',
      'lost connection with smtp.office365.com[1.2.3.4] while sending end of data -- message may be sent more than once',
      { code: 'outcome_unknown', plan: 'never' },
    ],
    [
      'a report of something new',
      'Diagnostic-Code: smtp; 550 5.9.9 unheard of',
      { category: 'undeliverable', code: 'unknown', scope: 'recipient', plan: 'never' },
    ],
    ['Node', 'Error: connect ECONNREFUSED 52.97.0.1:465', { code: 'connection_failed', scope: 'network' }],
    [
      'Node, TLS',
      'Error: 140735:error:1408F10B:SSL routines:ssl3_get_record:wrong version number:../deps/openssl',
      { code: 'client_config_invalid' },
    ],
    ['nonsense', 'the printer is on fire', { code: 'unknown', category: 'unknown', plan: 'backoff' }],
    [
      'a library that drops the basic code',
      '5.7.3 Authentication unsuccessful [DB6P18901CA0015.EURP189.PROD.OUTLOOK.COM]',
      { code: 'auth_invalid_credentials', scope: 'mailbox', plan: 'afterFix' },
    ],
    [
      'the same, an unknown reason',
      '5.7.139 Authentication unsuccessful, a reason that nobody has seen yet. [X.PROD.OUTLOOK.COM 2026-01-01T00:00:00.000Z 08DE]',
      { code: 'auth_policy_blocked', scope: 'mailbox', plan: 'afterFix' },
    ],
    [
      'a disabled account',
      '554 5.2.0 STOREDRV.Submission.Exception:AccountDisabledException.MapiExceptionMailboxDisabled; Failed to process message due to a permanent exception with message Cannot open mailbox.',
      { code: 'mailbox_unavailable', scope: 'mailbox', plan: 'afterFix' },
    ],
    [
      'direct send refused',
      '550 5.7.68 TenantInboundAttribution; Direct Send not allowed for this organization from unauthorized sources',
      { code: 'client_config_invalid', scope: 'tenant', plan: 'afterFix' },
    ],
    [
      'Postfix, the server’s size limit',
      'status=bounced (message size 41943040 exceeds size limit 36700160 of server smtp.office365.com[52.97.0.1])',
      { code: 'message_too_large', scope: 'message', plan: 'never' },
    ],
    [
      'Postfix, an untrusted certificate',
      'status=deferred (Server certificate not trusted)',
      { code: 'tls_failed', scope: 'network', plan: 'afterFix' },
    ],
    [
      'Java, an unknown authority',
      'javax.mail.MessagingException: Could not convert socket to TLS; nested exception is: javax.net.ssl.SSLHandshakeException: PKIX path building failed',
      { code: 'tls_failed', plan: 'afterFix' },
    ],
    [
      'Java, no common TLS version',
      'javax.net.ssl.SSLHandshakeException: No appropriate protocol (protocol is disabled or cipher suites are inappropriate)',
      { code: 'tls_failed', plan: 'afterFix' },
    ],
    [
      'Java, TLS from the first byte',
      'javax.net.ssl.SSLException: Unsupported or unrecognized SSL message',
      { code: 'client_config_invalid', plan: 'afterFix' },
    ],
    [
      'Java, no such host',
      'javax.mail.MessagingException: Unknown SMTP host: smtp.office365.com',
      { code: 'dns_failed', scope: 'network', plan: 'backoff' },
    ],
    [
      'Java, silence',
      'javax.mail.MessagingException: Exception reading response; nested exception is: java.net.SocketTimeoutException: Read timed out',
      { code: 'timeout', plan: 'backoff' },
    ],
    [
      '.NET, another name',
      'AuthenticationException: The remote certificate is invalid according to the validation procedure: RemoteCertificateNameMismatch',
      { code: 'tls_failed', plan: 'afterFix' },
    ],
    [
      '.NET, no such host',
      "System.Net.WebException: The remote name could not be resolved: 'smtp.office365.com'",
      { code: 'dns_failed', scope: 'network' },
    ],
    [
      '.NET, a closed port',
      'SocketException (10061): No connection could be made because the target machine actively refused it.',
      { code: 'connection_failed', scope: 'network' },
    ],
    [
      '.NET, TLS from the first byte',
      'System.IO.IOException: The handshake failed due to an unexpected packet format.',
      { code: 'client_config_invalid' },
    ],
    [
      'MailKit, a hang-up',
      'SmtpProtocolException: The SMTP server has unexpectedly disconnected.',
      { code: 'connection_dropped', plan: 'backoff' },
    ],
    [
      'Go, another name',
      'x509: certificate is valid for mail.corp.example, not smtp.office365.com',
      { code: 'tls_failed' },
    ],
    [
      'Go, no login offered',
      "gomail: could not send email 1: server doesn't support AUTH",
      { code: 'auth_mechanism_unsupported', plan: 'afterFix' },
    ],
    [
      'the DNS resolver’s silence',
      'Error: queryA ETIMEOUT smtp.office365.com',
      { code: 'dns_failed', scope: 'network' },
    ],
    [
      'an unknown number of Entra’s without its OAuth error',
      'AADSTS7099999: A policy that nobody has seen yet.',
      { code: 'token_config_invalid', plan: 'afterFix' },
    ],
    [
      'a device that Entra wants managed',
      'AADSTS53000: Your device is required to be managed to access this resource.',
      { code: 'token_policy_blocked', plan: 'afterFix' },
    ],
    [
      'a passing fault of Entra’s',
      'AADSTS50000: There was an error issuing a token or an issue with our sign-in service.',
      { code: 'token_unavailable', plan: 'backoff' },
    ],
    ['Entra’s throttling', 'AADSTS90025: Request throttled', { code: 'token_unavailable', plan: 'backoff' }],
    ['nothing', '', { code: 'unknown' }],
  ])('%s', (_title, text, expected) => {
    expect(classifyText(text, AT)).toMatchObject(expected);
  });

  it.each(
    KNOWN_REPLIES.filter(
      ({ quotesAnother, onlyHere, code, when }) => !quotesAnother && !onlyHere && !when && code !== 'unknown',
    ).map((known) => [known.id, known] as const),
  )('also where only the words of %s are pasted', (_id, { example, code, via }) => {
    const failure = classifyText(`> ${example.replace(/(.{60})/g, '$1\n> ')}`, AT);
    if (via !== 'ndr') expect(failure.code).toBe(code);
    expect(failure.summary).not.toMatch(/\p{Cc}/u);
  });

  it('with a stage that narrows it', () => {
    expect(classifyText('550 5.2.1 Mailbox cannot be accessed', AT, 'rcpt').code).toBe('recipient_rejected');
    expect(classifyText('550 5.2.1 Mailbox cannot be accessed', AT, 'auth').code).toBe('mailbox_unavailable');
    expect(classifyText('ETIMEDOUT CONN Timeout', AT, 'after-dot').code).toBe('outcome_unknown');
  });

  it('without claiming a reply that is not there', () => {
    expect(classifyText('Sender throttled due to continuous mailbox full errors', AT).smtp).toBeUndefined();
  });

  it('however long or hostile it is', () => {
    const hostile = [
      '\u0000\u001b[31m',
      '535 5.7.139 '.repeat(5_000),
      '[Hostname='.repeat(1_000),
      '\n> '.repeat(2_000),
      '5.'.repeat(3_000),
      '😀'.repeat(2_000),
      '\ud800',
      '%s%n$x<script>',
    ];
    for (const text of hostile) {
      const failure = classifyText(text, AT);
      expect(failure.summary).not.toMatch(/[\p{Cc}\p{Cs}]/u);
      expect(failure.summary.length).toBeLessThan(2_500);
      expect(failure.smtp?.response.length ?? 0).toBeLessThanOrEqual(2_000);
    }
  });
});

describe('a refusal that nobody knows, pasted without where it was met', () => {
  it('gets no final verdict: a person should look', () => {
    const at = new Date('2026-11-23T00:00:00Z');
    expect(classifyText('559 5.9.9 something odd', at)).toMatchObject({ code: 'unknown', plan: 'afterFix' });
    expect(classifyText('559 5.9.9 something odd', at, 'after-dot')).toMatchObject({ code: 'unknown', plan: 'never' });
  });
});
