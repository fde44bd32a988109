import type { Reply, Stage } from '../mail/reply.ts';
import type { Judgement } from './catalogue.ts';
import type { Category, Plan, Scope } from './failure.ts';

/** The subject of an enhanced code, its second number: RFC 3463 section 3. */
const SUBJECTS: Readonly<Record<string, string>> = {
  '1': 'an address',
  '2': 'a mailbox',
  '3': 'the mail system',
  '4': 'the network or routing',
  '5': 'the mail protocol',
  '6': 'the content or its conversion',
  '7': 'security or policy',
};

const REMEDY = 'Read the server’s own words. Please report the reply so that it can be added to the catalogue.';

/**
 * What can be said of a reply that nobody knows: its enhanced code by RFC 3463, else its basic code by RFC 5321
 * section 4.2.1. Always of code `unknown`; the category is what a program may reasonably branch on. A refusal before
 * MAIL FROM is never a message's failure, and a 4xx is never final.
 */
export function judgeUnknown({ code, enhancedCode, stage }: Pick<Reply, 'code' | 'enhancedCode' | 'stage'>): Judgement {
  const temporary = code < 500;
  const [, subject, detail] = enhancedCode?.split('.') ?? [];
  return {
    category: categoryOf(code, stage, subject, detail),
    ...consequence(stage, temporary),
    summary: summaryOf(code, enhancedCode, subject),
    remedy: REMEDY,
  };
}

function summaryOf(code: number, enhancedCode: string | undefined, subject: string | undefined): string {
  const codes = enhancedCode ? `${code} ${enhancedCode}` : `${code}`;
  const hope = code >= 200 && code < 400 ? 'an unexpected answer' : code < 500 ? 'a temporary refusal' : 'a refusal';
  const concern = subject ? SUBJECTS[subject] : undefined;
  return `Not recognised: by its code alone, ${codes} is ${hope}${concern ? ` that concerns ${concern}` : ''}.`;
}

function consequence(stage: Stage, temporary: boolean): { scope: Scope; plan: Plan } {
  if (stage === 'auth')
    return temporary ? { scope: 'connection', plan: 'backoff' } : { scope: 'mailbox', plan: 'afterFix' };
  if (stage === 'connect' || stage === 'greeting' || stage === 'ehlo' || stage === 'tls')
    return { scope: 'connection', plan: 'backoff' };
  return { scope: stage === 'rcpt' ? 'recipient' : 'message', plan: temporary ? 'backoff' : 'never' };
}

function categoryOf(code: number, stage: Stage, subject = '', detail = ''): Category {
  if (stage === 'auth') return code < 500 ? 'serviceUnavailable' : 'authentication';
  if (stage === 'tls') return 'tls';
  if (subject === '6' || (subject === '3' && detail === '4') || (subject === '5' && detail === '3'))
    return 'messageRefused';
  if (subject === '1') return detail === '7' || detail === '8' ? 'senderRefused' : addressAt(stage);
  if ((subject === '2' || subject === '7') && stage === 'rcpt') return 'recipientRefused';
  if (subject === '7' && stage === 'mail') return 'senderRefused';
  if (subject === '7' && (stage === 'data' || stage === 'after-dot')) return 'messageRefused';
  if (code < 500 && (subject === '3' || subject === '4' || code === 421 || code === 451 || code === 452))
    return 'serviceUnavailable';
  return code >= 500 && !subject ? refusedAt(stage) : 'unknown';
}

function addressAt(stage: Stage): Category {
  return stage === 'mail' ? 'senderRefused' : 'recipientRefused';
}

function refusedAt(stage: Stage): Category {
  return stage === 'rcpt' ? 'recipientRefused' : stage === 'mail' ? 'senderRefused' : 'unknown';
}
