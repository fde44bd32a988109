import type { Reply, Stage } from '../mail/reply.ts';
import { JUDGEMENTS, type Judgement, judgementOf } from './catalogue.ts';
import type { Failure, Trouble } from './failure.ts';
import { judgeUnknown } from './fallback.ts';
import { type Recognised, recognise, type Said } from './recognise.ts';
import { enhancedIn, type FoundReply, pairsIn, replyIn, type Wording, wordingOf } from './wording.ts';

/**
 * Says what a trouble means, whose fault it is and what to do about it. Never throws, whatever the text.
 *
 * A server's sentence counts more than its codes, its codes more than a library's, and what nobody knows is judged by
 * RFC 3463 and RFC 5321, of code `unknown`. A connection lost from the final dot on is `outcome_unknown`.
 */
export function classify(trouble: Trouble, at: Date): Failure {
  if (trouble.via === 'smtp') return classifyReply(trouble.reply, trouble.mechanism, at);
  if (trouble.via === 'token') return classifyToken(trouble, at);
  return classifyClient(trouble, at);
}

/** A recipient's Diagnostic-Code from a non-delivery report (RFC 3464 section 2.3.6). */
export function classifyDiagnostic(reply: Reply, at: Date): Failure {
  return judged(recogniseReply(reply, 'ndr', undefined), reply, at, 'ndr');
}

/** Which entry of the lists a trouble is taken for, so that the lists can be reviewed by their examples. */
export function recogniseTrouble(trouble: Trouble): Recognised | undefined {
  if (trouble.via === 'smtp') return recogniseReply(trouble.reply, 'smtp', trouble.mechanism);
  if (trouble.via === 'token') return recognise(saidByToken(trouble));
  return recogniseClient(trouble);
}

function classifyReply(reply: Reply, mechanism: Said['mechanism'], at: Date): Failure {
  return judged(recogniseReply(reply, 'smtp', mechanism), reply, at, 'smtp');
}

/** Looks behind a reply that only quotes another: `530 5.7.57 … Error: 535 5.7.139 …` is about the 535. */
export function recogniseReply(
  reply: Reply,
  via: 'smtp' | 'ndr',
  mechanism: Said['mechanism'],
): Recognised | undefined {
  const wording = wordingOf(reply.response);
  const enhanced = reply.enhancedCode ? { enhanced: reply.enhancedCode } : enhancedBy(wording, reply.code);
  const stage = via === 'ndr' ? 'report' : reply.stage;
  const outer = recognise({ via, stage, mechanism, wording, basic: reply.code, ...enhanced });
  if (outer && outer.strength > 1 && !outer.known.quotesAnother && !isWrapper(outer)) return outer;
  return quotedIn(wording, via, mechanism) ?? outer;
}

/** These say only that something inside them went wrong. */
function isWrapper({ known }: Recognised): boolean {
  return known.code === 'auth_required' || known.id === 'ndr-5.0.350';
}

/** Replies quoted inside a reply that are looked at. */
const MOST_QUOTED = 3;

function quotedIn({ line }: Wording, via: 'smtp' | 'ndr', mechanism: Said['mechanism']): Recognised | undefined {
  const quoted = pairsIn(line).filter(({ index }) => index > 0);
  for (const { index, basic, enhanced } of quoted.slice(0, MOST_QUOTED)) {
    const wording = wordingOf(line.slice(index));
    const stage = basic === 535 ? 'auth' : undefined;
    const inner = recognise({ via, stage, mechanism, wording, ...(basic && { basic }), ...(enhanced && { enhanced }) });
    if (inner && inner.strength > 1 && !isWrapper(inner)) return inner;
  }
  return undefined;
}

/** Where the protocol layer found no enhanced code, one of the same basic code, or else the first in the text. */
function enhancedBy({ line }: Wording, code: number): { enhanced?: string } {
  const enhanced = pairsIn(line).find(({ basic }) => basic === code)?.enhanced;
  return enhanced ? { enhanced } : enhancedIn(line);
}

function judged(recognised: Recognised | undefined, reply: Reply, at: Date, via: 'smtp' | 'ndr'): Failure {
  if (!recognised || isLastResort(recognised)) {
    const judgement = judgeUnknown({ ...reply, ...withEnhanced(reply) });
    return { code: 'unknown', ...judgement, smtp: reply, at: at.toISOString() };
  }
  const { code } = recognised.known;
  const judgement = judgementOf(code, recognised.known.id);
  const fitting = via === 'ndr' ? judgement : asMetDuringSubmission(judgement, code, reply);
  return { code, ...fitting, smtp: reply, at: at.toISOString() };
}

/** Known only as some 4xx or 5xx: more can be said by the enhanced code. */
function isLastResort({ known, strength }: Recognised): boolean {
  return known.code === 'unknown' && known.via === 'smtp' && strength === 1;
}

function withEnhanced(reply: Reply): { enhancedCode?: string } {
  const enhanced = reply.enhancedCode ?? enhancedBy(wordingOf(reply.response), reply.code).enhanced;
  return enhanced ? { enhancedCode: enhanced } : {};
}

/**
 * The lists know where a reply is usually met; here it has been met. Before MAIL FROM there is no message to fail; at
 * RCPT TO one recipient is refused and not the others; and a 4xx is a promise that a later try may succeed.
 */
function asMetDuringSubmission(judgement: Judgement, code: string, { code: basic, stage }: Reply): Judgement {
  const aboutOne = judgement.scope === 'message' || judgement.scope === 'recipient';
  if (aboutOne && isBeforeMail(stage)) {
    const { scope, plan } = judgeUnknown({ code: basic, stage });
    return { ...judgement, scope, plan };
  }
  const splitsByItself = code === 'too_many_recipients' && basic < 500 && stage === 'rcpt';
  if (splitsByItself)
    return { ...judgement, scope: 'recipient', plan: 'backoff', remedy: JUDGEMENTS.server_busy.remedy };
  if (code === 'too_many_recipients') return judgement;
  const scope = stage === 'rcpt' && judgement.scope === 'message' ? 'recipient' : judgement.scope;
  const plan = basic < 500 && judgement.plan === 'never' ? 'backoff' : judgement.plan;
  return { ...judgement, scope, plan };
}

function isBeforeMail(stage: Stage): boolean {
  return stage === 'connect' || stage === 'greeting' || stage === 'ehlo' || stage === 'tls' || stage === 'auth';
}

type TokenTrouble = Extract<Trouble, { via: 'token' }>;
type ClientTrouble = Extract<Trouble, { via: 'client' }>;

/** The HTTP status of a token request is no SMTP code: a 503 there says nothing about any message. */
function classifyToken(trouble: TokenTrouble, at: Date): Failure {
  const recognised = recognise(saidByToken(trouble));
  const overloaded = isOverloaded(trouble.httpStatus);
  // A named error of the set-up is believed even beside a 5xx; Entra's general ones are not.
  const named = recognised && (!overloaded || /^token-aadsts-/.test(recognised.known.id)) ? recognised : undefined;
  // A number of Entra's that nobody knows is a refusal: only a status or a known code promises that waiting helps.
  const isRefusal = !overloaded && /\bAADSTS\d/i.test(trouble.description ?? '');
  const code = named?.known.code ?? (isRefusal ? 'token_config_invalid' : 'token_unavailable');
  const { httpStatus, error, description } = trouble;
  const said = [httpStatus && `HTTP ${httpStatus}`, error, description].filter(Boolean).join(' ');
  return { code, ...judgementOf(code, named?.known.id), ...detailed(said), at: at.toISOString() };
}

/** What an operator asks Microsoft, or a network’s administrator, with: numbers, addresses, and names in certificates. */
function detailed(said: string): { detail?: string } {
  return said ? { detail: escaped(said, MOST_DETAIL) } : {};
}

function isOverloaded(httpStatus: number | undefined): boolean {
  return httpStatus !== undefined && (httpStatus >= 500 || httpStatus === 429 || httpStatus === 408);
}

function saidByToken({ httpStatus, error, description }: TokenTrouble): Said {
  const status = httpStatus === undefined ? '' : `HTTP ${httpStatus} HTTP ${Math.floor(httpStatus / 100)}xx`;
  return { via: 'token', stage: 'auth', wording: wordingOf(`${status} ${error ?? ''} ${description ?? ''}`) };
}

function classifyClient(trouble: ClientTrouble, at: Date): Failure {
  const reply = quotedReply(trouble);
  if (reply) return classifyReply(reply, mechanismOf(trouble), at);
  const known = recogniseClient(trouble)?.known;
  const told = { ...detailed(saidByClient(trouble)), at: at.toISOString() };
  if (trouble.stage === 'after-dot')
    return { code: 'outcome_unknown', ...judgementOf('outcome_unknown', known?.id), ...told };
  if (!known) return { code: 'unknown', ...unknownError(trouble), ...told };
  return { code: known.code, ...judgementOf(known.code, known.id), ...told };
}

function recogniseClient(trouble: ClientTrouble): Recognised | undefined {
  const { code, command, message, stage } = trouble;
  const wording = wordingOf([code, command, message].filter(Boolean).join(' '));
  return recognise({ via: 'client', stage, wording });
}

/** nodemailer puts the server's words behind its own: `Message failed: 432 4.3.2 …`. A failed STARTTLS stays TLS's. */
function quotedReply({ code, command, message, stage }: ClientTrouble): Reply | undefined {
  if (code === 'ETLS' || command === 'STARTTLS' || code === 'EOAUTH2') return undefined;
  const { line } = wordingOf(message);
  const found: FoundReply | undefined = replyIn(line);
  if (found?.basic === undefined) return undefined;
  return {
    code: found.basic,
    ...(found.enhanced && { enhancedCode: found.enhanced }),
    response: line.slice(found.index),
    stage: command?.startsWith('AUTH') ? 'auth' : stage,
  };
}

function mechanismOf({ command, message }: ClientTrouble): Said['mechanism'] {
  if (/XOAUTH2/i.test(`${command} ${message.slice(0, 200)}`)) return 'XOAUTH2';
  return command?.startsWith('AUTH') ? 'LOGIN' : undefined;
}

function saidByClient({ code, message }: ClientTrouble): string {
  return [code, message].filter(Boolean).join(': ');
}

function unknownError(trouble: ClientTrouble): Judgement {
  const { scope, plan } = judgeUnknown({ code: 450, stage: trouble.stage });
  const said = saidByClient(trouble);
  return {
    ...JUDGEMENTS.unknown,
    scope,
    plan,
    summary: `Not recognised: our side reports “${escaped(said, MOST_QUOTED_CHARACTERS)}”; nothing was handed over.`,
    remedy: 'Nothing at once: it is tried again. Please report the error so that it can be added to the catalogue.',
  };
}

const MOST_QUOTED_CHARACTERS = 200;
/** Room for Entra ID’s sentences, with their trace and correlation ids. */
const MOST_DETAIL = 1_000;

/** What came from outside is shown on one line, bounded, and with every control and format character spelled out. */
function escaped(text: string, most: number): string {
  const bounded = text.length > most ? `${text.slice(0, most)}…` : text;
  return bounded.replace(
    /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  );
}
