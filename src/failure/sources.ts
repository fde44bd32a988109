/** Where the words in the reply lists come from; named so that a list stays readable. Public sources, with the date of the copy that was read. */
export const NDR_LIST =
  'MicrosoftDocs/OfficeDocs-Support: Exchange/ExchangeOnline/email-delivery/ndr/non-delivery-reports-in-exchange-online.md (2024-10-24)';
export const DEVICES_PAGE =
  'MicrosoftDocs/OfficeDocs-Support: Exchange/ExchangeOnline/email-delivery/fix-issues-with-printers-scanners-and-lob-applications-that-send-email-using-off.md (2024-08-13)';
export const SUBMISSION_PAGE =
  'MicrosoftDocs/OfficeDocs-Support: Exchange/ExchangeOnline/send-emails/smtp-submission-improvements.md (2024)';
export const ERROR_THROTTLING_PAGE = 'Microsoft Learn, "Continuous error throttling for SMTP AUTH submissions"';
export const HVE_PAGE = 'Microsoft Learn, "Troubleshoot High Volume Email" (2026, read from a mirror)';
export const OAUTH_PAGE =
  'MicrosoftDocs/office-developer-exchange-docs: docs/legacy-protocols/how-to-authenticate-an-imap-pop-smtp-application-by-using-oauth.md (2026)';
export const RATE_LIMITS_PAGE = 'MicrosoftDocs/OfficeDocs-Exchange: message-rate-limits.md (Exchange Server, 2021)';
export const ENTRA_CODES = 'MicrosoftDocs/entra-docs: docs/identity-platform/reference-error-codes.md (2024-04)';
export const SISIMAI = 'sisimai/p5-sisimai: lib/Sisimai/Rhost/Microsoft.pm (2024-10)';
export const NODEMAILER = 'nodemailer/nodemailer: lib/smtp-connection/index.js, lib/errors.js (9.0.5, 2026-08-07)';
export const RFC_CODES = 'RFC 5321 section 4.2.1 and RFC 3463 (general, not Microsoft’s)';
export const LOGIN_TABLE = 'public code, a table of measured login refusals, 2026-09';
export const TEST_REPLIES = 'public code, test fixtures that list Microsoft 365 replies, 2026';
export const SPAM_LOGS = 'public code, captured logs of OutboundSpamException, 2024 to 2026';
