import { MAX_RESPONSE_LENGTH, type Reply, STAGES, type Stage } from '../mail/reply.ts';
import { classify, classifyDiagnostic, recogniseReply } from './classify.ts';
import type { Failure } from './failure.ts';
import { recognise } from './recognise.ts';
import { type FoundReply, replyIn, wordingOf } from './wording.ts';

/** Signs of a non-delivery report, or of Exchange's delivery side: what failed had been accepted before. */
const REPORT = /\b(?:diagnostic-code|final-recipient|remote server returned|generating server)|STOREDRV\.Deliver/i;

/**
 * Classifies a pasted log line, error or part of a report, whatever wrote it. Works without any network, never throws.
 *
 * @param stage where it was met, if the one who pastes knows; else it is read off the text as well as can be
 */
export function classifyText(text: string, at: Date, stage?: Stage): Failure {
  // It would only repeat what was pasted.
  const { detail: _, ...failure } = classified(text, at, stage);
  return failure;
}

function classified(text: string, at: Date, stage?: Stage): Failure {
  const wording = wordingOf(text);
  const { line } = wording;
  // Read before the host suffix is taken off: `[Hostname=` is said only after the final dot.
  const told = stageIn(text.slice(0, MAX_RESPONSE_LENGTH));
  const error = recognise({ via: 'client', stage, wording });
  if (isTokenAnswer(line, error === undefined)) return classify({ via: 'token', ...tokenParts(line) }, at);
  const found = replyIn(line);
  if (found) return classifyFound(line, found, stage, told, at);
  const sentence = recognise({ via: 'smtp', stage, wording });
  if ((sentence?.strength ?? 0) > (error?.strength ?? 0)) {
    const { smtp: _, ...failure } = classifyFound(line, { index: 0 }, stage, told, at);
    return failure;
  }
  return classify({ via: 'client', message: line, stage: stage ?? told ?? 'connect' }, at);
}

function classifyFound(line: string, found: FoundReply, given: Stage | undefined, told: Stage | undefined, at: Date) {
  const mechanism = /XOAUTH2|OAuth|Bearer/i.test(line) ? 'XOAUTH2' : 'LOGIN';
  const met = given ?? told ?? 'after-dot';
  const tail = replyFrom(line.slice(found.index), found, met);
  const reply = isRecognised(tail, mechanism) ? tail : replyFrom(line, found, met);
  if (REPORT.test(line)) return classifyDiagnostic(reply, at);
  const stage = given ?? usualStage(reply, mechanism, 3) ?? told ?? usualStage(reply, mechanism, 2) ?? 'after-dot';
  const failure = classify({ via: 'smtp', reply: { ...reply, stage }, mechanism }, at);
  return given || told ? failure : withoutVerdict(failure);
}

/** That a reply nobody knows is final depends on where it was met; where that is guessed, a person should look. */
function withoutVerdict(failure: Failure): Failure {
  return failure.code === 'unknown' && failure.plan === 'never' ? { ...failure, plan: 'afterFix' } : failure;
}

/** What stands before a reply is a program's own words; they count only if the reply says nothing by itself. */
function isRecognised(reply: Reply, mechanism: 'LOGIN' | 'XOAUTH2'): boolean {
  const recognised = recogniseReply(reply, 'smtp', mechanism);
  return recognised !== undefined && recognised.strength > 1 && recognised.known.code !== 'unknown';
}

function replyFrom(response: string, { basic, enhanced }: FoundReply, stage: Stage): Reply {
  const code = basic ?? (enhanced?.startsWith('4') ? 450 : 550);
  return { code, ...(enhanced && { enhancedCode: enhanced }), response, stage };
}

/** Where this reply is usually met, if it is recognised at least that well. */
function usualStage(reply: Reply, mechanism: 'LOGIN' | 'XOAUTH2', strength: number): Stage | undefined {
  const recognised = recogniseReply(reply, 'smtp', mechanism);
  if (recognised && recognised.strength >= strength)
    return STAGES.find((each) => each === recognised.known.stage) ?? 'after-dot';
  return strength < 3 && [454, 534, 535].includes(reply.code) ? 'auth' : undefined;
}

const STAGE_SIGNS: readonly (readonly [RegExp, Stage])[] = [
  [/phase=after-dot|end of data|after-dot|\[Hostname=|Message failed/i, 'after-dot'],
  [/RCPT TO|Recipient command|recipients were re(?:jected|fused)|SMTPRecipientsRefused|RecipientCommand/i, 'rcpt'],
  [/MAIL FROM|Mail command|SMTPSenderRefused|MailCommand/i, 'mail'],
  [/\bAUTH\b|Invalid login|SMTPAuthenticationError|AuthenticationException|authentication failed/i, 'auth'],
  [/STARTTLS/i, 'tls'],
  [/\b(?:EHLO|HELO)\b/i, 'ehlo'],
  [/phase=before-dot|\bDATA\b/, 'data'],
  [/greeting|banner/i, 'greeting'],
];

function stageIn(text: string): Stage | undefined {
  return STAGE_SIGNS.find(([sign]) => sign.test(text))?.[1];
}

const OAUTH_ERROR =
  /\b(?:invalid_client|invalid_grant|invalid_scope|invalid_request|invalid_resource|unauthorized_client|interaction_required|consent_required|unsupported_grant_type|temporarily_unavailable|server_error)\b/i;
const HTTP_STATUS =
  /\bHTTP(?:\/\d(?:\.\d)?)?[ :]{1,2}([45]\d\d)\b|\b(429|50[0234]) (?:Too Many Requests|Internal Server Error|Bad Gateway|Service Unavailable|Gateway Time-?out)/i;

/** A bare HTTP status may as well be a stranger’s greeting on the SMTP port. */
function isTokenAnswer(line: string, maybeHttp: boolean): boolean {
  return /\bAADSTS\d/i.test(line) || OAUTH_ERROR.test(line) || (maybeHttp && HTTP_STATUS.test(line));
}

function tokenParts(line: string): { httpStatus?: number; error?: string; description: string } {
  const [, first, second] = HTTP_STATUS.exec(line) ?? [];
  const status = first ?? second;
  const error = OAUTH_ERROR.exec(line)?.[0].toLowerCase();
  return { ...(status && { httpStatus: Number(status) }), ...(error && { error }), description: line };
}
