import { quote } from '../mail/characters.ts';
import { plainName } from './nearest-name.ts';

/** What a body or a part of it is, where a caller may use the name that another service has for a field. */
export type Place =
  | 'message'
  | 'attachment'
  | 'address'
  | 'calendar'
  | 'raw'
  | 'envelope'
  | 'batch'
  | 'schedule'
  | 'list'
  | 'explain';

/** Names, parted by white space. Case, `_` and `-` in them do not matter. */
type Names = string;

interface Foreign {
  /** Other names of a field, by ours. */
  renamed: Readonly<Record<string, Names>>;
  /** What to do instead of a field that has no counterpart, and names of it. */
  otherwise: readonly (readonly [string, Names])[];
}

const BATCH = 'send one message for each with POST /v1/messages/batch';
const TEMPLATES = 'templates are not offered: fill yours in, and give the result as subject, html and text.';
const TRACKING = 'what readers open or click is not tracked; remove it.';
const SETTINGS = 'it goes through a mailbox of Microsoft 365, which has no such setting; remove it.';
const SEND_AT = `scheduledAt scheduleAt scheduledFor scheduledTime schedule scheduledDate sendTime sendOn sendDate startTime
  deliverAt deliveryTime o:deliverytime deferredDeliveryTime deferUntil delayUntil notBefore`;

/**
 * The names that senders of mail have for what ours are called: Resend, Postmark, SendGrid, Mailgun, Amazon SES,
 * Microsoft Graph, EmailEngine, Brevo, SparkPost, MailerSend, Mailjet, Mandrill and nodemailer.
 */
export const FOREIGN_NAMES: Readonly<Record<Place, Foreign>> = {
  message: {
    renamed: {
      from: 'sender fromAddress fromEmail fromEmailAddress source author',
      to: 'toRecipients recipients recipient toAddress toAddresses toEmail toEmails receiver',
      cc: 'ccRecipients ccAddress ccAddresses ccEmail carbonCopy',
      bcc: 'bccRecipients bccAddress bccAddresses bccEmail blindCarbonCopy',
      replyTo: 'replyToAddress replyToAddresses replyToList replyToEmail h:Reply-To',
      subject: 'subjectLine title',
      text: 'textBody textContent textPart bodyText plainText plain textPlain plainBody',
      html: 'htmlBody htmlContent htmlPart bodyHtml htmlText textHtml',
      attachments: 'attachment attach files file attachedFiles',
      calendar: 'icalEvent ical icalendar ics invite invitation calendarEvent calendarInvite',
      importance: 'xPriority xMsMailPriority',
      readReceipt: 'isReadReceiptRequested requestReadReceipt readReceiptRequested dispositionNotificationTo',
      headers: 'header customHeaders internetMessageHeaders messageHeaders emailHeaders extraHeaders',
      tags: 'tag tagList o:tag category categories label labels emailTags keywords',
      metadata: 'customArgs uniqueArgs customData customVariables userData messageMetadata customId',
      mailbox: 'mailboxId account accountId fromMailbox',
      sendAt: SEND_AT,
      expiresAt: 'expires expiry expiration validUntil deliverBy notAfter',
      expiresInSeconds: 'ttl ttlSeconds timeToLive expiresIn lifetime',
      raw: 'rawMessage rawMime rawContent mime mimeContent mimeMessage eml rfc822',
    },
    otherwise: [
      ['give the name within from, as in {"name": "Ada", "address": "ada@contoso.com"}.', 'fromName senderName'],
      ['give the name within to, as in {"name": "Ada", "address": "ada@fabrikam.com"}.', 'toName recipientName'],
      ['give its addresses as to, cc and bcc.', 'destination destinations rcptTo'],
      ['give its content as html or text.', 'body content contents contentType bodyType parts'],
      [
        'put what is in it at the top of the body: from, to, subject, html, text and so on.',
        'message mail email msg simple options settings',
      ],
      [
        `a body is one message; ${BATCH}.`,
        'personalizations messages emails messageVersions bulkEmailEntries batch mailMerge',
      ],
      [
        TEMPLATES,
        `template templateId templateName templateAlias templateModel templateData templateUuid templateContent
        templateLanguage templateVersion dynamicTemplateData variables params substitutions substitutionData sections
        personalization mergeVars globalMergeVars recipientVariables render react merge vars`,
      ],
      [
        TRACKING,
        `tracking trackOpens trackLinks trackClicks trackingSettings openTracking clickTracking trackingEnabled
        trackingDomain analytics googleAnalytics googleAnalyticsCampaign googleAnalyticsDomains`,
      ],
      [
        SETTINGS,
        `messageStream ipPool ipPoolName configurationSet configurationSetName endpointId dkim subaccount gateway proxy
        localAddress async mailSettings signingDomain fromEmailAddressIdentityArn sourceArn returnPathArn
        deliveryAttempts`,
      ],
      [
        'whether Sent Items keeps a copy is a setting of the mailbox (Set-Mailbox -MessageCopyForSMTPClientSubmissionEnabled); remove it.',
        'saveToSentItems saveSentCopy copy sentMailPath',
      ],
      ['send the key as the header Idempotency-Key.', 'idempotencyKey requestId'],
      [
        'the webhooks are those of your key (POST /v1/webhooks); webhooks chooses among them by their ids.',
        'webhook webhookUrl callback callbackUrl notifyUrl statusCallback eventPayload',
      ],
      ['its Message-ID is made by Postroom; read internetMessageId of the answer.', 'messageId internetMessageId id'],
      ['use "headers": {"In-Reply-To": "<id@contoso.com>", "References": "…"}.', 'inReplyTo references reference'],
      [
        'use "headers": {"List-Unsubscribe": "<https://…>"}.',
        'listUnsubscribe unsubscribe asm listManagementOptions list',
      ],
      ['use "headers": {"List-Id": "<news.contoso.com>"}.', 'listId'],
      ['its Date is when it is accepted, or sendAt; remove it.', 'date createdAt sentAt sentDateTime'],
      [
        'bounces go to the address in from; remove it.',
        'returnPath bounceAddress feedbackForwardingEmailAddress mailFrom errorsTo',
      ],
      ['the envelope is from, to, cc and bcc; only raw can have another one, as raw.envelope.', 'envelope'],
      [
        'no delivery receipt can be asked for; read what became of each recipient, or have it told to a webhook.',
        'isDeliveryReceiptRequested deliveryReceipt requestDeliveryReceipt returnReceiptTo dsn',
      ],
      ['all text is sent as UTF-8; remove it.', 'charset encoding textEncoding'],
      [
        'other alternatives than text, html and calendar are not offered; remove it.',
        'alternatives amp ampHtml amphtmlContent watchHtml previewText',
      ],
      [
        'give them as attachments with a contentId, and show them as <img src="cid:…">.',
        'inline images inlineImages inlinedAttachments inlineAttachments inlineAttachment embedded',
      ],
      [
        'a test key (pr_test_…) sends into the sandbox, and POST /v1/messages/validate only checks; remove it.',
        'test testMode o:testmode dryRun validate validateOnly sandbox sandboxMode',
      ],
    ],
  },
  attachment: {
    renamed: {
      filename: 'name file',
      content: 'contentBytes contentBase64 base64 base64Content rawContent data body bytes',
      contentType: 'type mime mimeType mediaType',
      contentId: 'cid inlineContentId inlineId id',
      disposition: 'contentDisposition',
    },
    otherwise: [
      ['use "disposition": "inline", or give a contentId.', 'isInline inline related'],
      [
        'no file or address is read for you; give the octets in base64 as content.',
        'path filePath href url uri fileUrl link sourceUrl',
      ],
      ['content is always base64; remove it.', 'encoding contentTransferEncoding transferEncoding isBase64'],
      ['it is not needed; remove it.', '@odata.type size length contentLength contentDescription headers'],
    ],
  },
  address: {
    renamed: { address: 'email emailAddress mail addr mailbox', name: 'displayName fullName label title' },
    otherwise: [
      ['name and address are the only fields; for copies use cc and bcc.', 'type kind headerTo'],
      [`templates are not offered; ${BATCH}.`, 'substitutionData variables vars params data metadata'],
    ],
  },
  calendar: {
    renamed: { content: 'ics ical icalendar data body event text', method: 'type action' },
    otherwise: [
      ['content is the text itself, not in base64; remove it.', 'encoding contentType filename'],
      ['no file or address is read for you; give the text as content.', 'path href url'],
    ],
  },
  raw: {
    renamed: { content: 'data mime message base64 body raw value contentBytes' },
    otherwise: [
      ['put it into envelope: {"from": …, "to": […]}.', 'from to cc bcc recipients destinations'],
      ['content is always base64; remove it.', 'encoding contentType'],
    ],
  },
  envelope: {
    renamed: {
      from: 'mailFrom sender reversePath returnPath source',
      to: 'rcptTo recipients recipient destinations forwardPaths',
    },
    otherwise: [['to has all recipients.', 'cc bcc']],
  },
  batch: {
    renamed: { messages: 'emails mails items batch requests messageVersions personalizations' },
    otherwise: [
      ['each of the messages has its own.', 'from to subject html text headers tags metadata'],
      ['send one key for all as the header Idempotency-Key, or give each message its own.', 'idempotencyKey'],
    ],
  },
  schedule: {
    renamed: { sendAt: SEND_AT },
    otherwise: [
      [
        'only sendAt can be changed: cancel the message and send another.',
        'from to cc bcc subject html text tags metadata priority expiresAt expiresInSeconds mailbox status',
      ],
    ],
  },
  explain: {
    renamed: { text: 'reply response error message msg smtp smtpReply smtpResponse diagnosticCode bounce' },
    otherwise: [],
  },
  list: {
    renamed: {
      limit: 'pageSize perPage size count $top take maxResults first',
      after: 'cursor next pageToken startingAfter nextToken continuation $skiptoken',
      recipient: 'to email toEmail address rcpt',
      status: 'state statuses event events',
      tag: 'tags label',
      createdAfter: 'since start startDate fromDate dateFrom begin startTime',
      createdBefore: 'until end endDate toDate dateTo endTime',
    },
    otherwise: [
      ['pages have no numbers: give the next of an answer as after.', 'page offset skip $skip before'],
      ['the order is fixed, newest first; remove it.', 'sort order orderBy $orderby ascending direction'],
      ['messages cannot be searched by it; see the API document.', 'subject from q query search $filter'],
    ],
  },
};

/** Families of names, as form fields of Mailgun have them. */
const PREFIXES: readonly (readonly [RegExp, string])[] = [
  [/^h:/i, 'give it within headers, as in {"X-Campaign": "spring"}.'],
  [/^v:/i, 'give it within metadata, as in {"order": "4711"}.'],
  [/^t:/i, TEMPLATES],
  [/^o:tracking/i, TRACKING],
  [/^o:/i, SETTINGS],
];

/** By place, then by the plain form of the foreign name. */
const ADVICE = new Map(Object.entries(FOREIGN_NAMES).map(([place, foreign]) => [place, adviceOf(foreign)]));

function adviceOf({ renamed, otherwise }: Foreign): Map<string, string> {
  const advice = new Map<string, string>();
  for (const [ours, names] of Object.entries(renamed))
    for (const name of namesIn(names)) advice.set(plainName(name), `did you mean ${quote(ours)}?`);
  for (const [instead, names] of otherwise) for (const name of namesIn(names)) advice.set(plainName(name), instead);
  return advice;
}

export function namesIn(names: Names): string[] {
  return names.trim().split(/\s+/);
}

/** What to do instead of giving a field that we do not have and others have, as the second half of a sentence. */
export function foreignAdvice(place: Place, name: string): string | undefined {
  const known = ADVICE.get(place)?.get(plainName(name));
  return known ?? (place === 'message' ? PREFIXES.find(([prefix]) => prefix.test(name))?.[1] : undefined);
}
