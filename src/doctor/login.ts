import {
  type Check,
  failBecause,
  isAccepted,
  listed,
  ok,
  short,
  skipped,
  troubleOf,
  type Verdict,
  type Visit,
  warn,
  wordsOf,
} from './check.ts';
import { exactSenders, type Patient } from './patient.ts';
import { talked } from './session.ts';
import type { Conversation, Heard } from './tools.ts';

/** The login, and what it lets us do. */
export function checkLogin({ login }: Patient): Check[] {
  const needed = ['authMechanisms', ...(login?.type === 'clientCredentials' ? ['token', 'tokenClaims'] : [])];
  return [
    { id: 'auth', title: 'Login', after: needed, run: login ? talked(logIn) : unable },
    { id: 'mailFrom', title: 'MAIL FROM', after: ['auth'], run: talked(mailFrom) },
    { id: 'send', title: 'A real message', after: ['mailFrom'], run: talked(sendAll) },
  ];
}

const unable = (): Verdict => ({ status: 'skipped', finding: 'There is no login to try.', blocked: true });

/** One try only: repeated wrong passwords lock an account. */
async function logIn(visit: Visit, conversation: Conversation): Promise<Verdict> {
  const mechanism = visit.token === undefined ? 'LOGIN' : 'XOAUTH2';
  const heard = await conversation.logIn(visit.token);
  if (isAccepted(heard)) return ok(short(heard.reply.response));
  return failBecause(wordsOf(heard), troubleOf(heard, mechanism), visit);
}

/** Enough to find a mistake; each refusal counts against the mailbox. */
const MOST_SENDERS = 10;
const MOST_MESSAGES = 5;

async function mailFrom(visit: Visit, conversation: Conversation): Promise<Verdict> {
  const senders = exactSenders(visit.patient).slice(0, MOST_SENDERS);
  if (senders.length === 0) return skipped('Only whole domains may send; there is no address to try.');
  for (const sender of senders) {
    const heard = await conversation.mail(sender);
    if (!isAccepted(heard)) return failBecause(`${sender}: ${wordsOf(heard)}`, troubleOf(heard), visit);
    const reset = await conversation.reset();
    if (!isAccepted(reset)) return failBecause(`RSET: ${wordsOf(reset)}`, troubleOf(reset), visit);
  }
  return ok(`Accepted for ${listed(senders)}. It proves little: Microsoft judges senders after the message.`);
}

/** Stops at the first refusal: Microsoft shuts a mailbox that repeats an error (550 5.2.252). */
async function sendAll(visit: Visit, conversation: Conversation): Promise<Verdict> {
  if (!visit.send) return skipped('Only with --send. A login alone does not prove that the mailbox may send.');
  const { patient, tools } = visit;
  const senders = exactSenders(patient).slice(0, MOST_MESSAGES);
  let last: Heard | undefined;
  for (const sender of senders) {
    last = await conversation.submit(sender, patient.address, await tools.testMessage(sender));
    if (!isAccepted(last)) return refused(sender, last, visit);
  }
  if (!last?.ok) return skipped('Only whole domains may send; there is no address to try.');
  return ok(`Sent to ${patient.address} from ${listed(senders)}. ${short(last.reply.response)}`);
}

function refused(sender: string, heard: Heard, visit: Visit): Verdict {
  const verdict = failBecause(`From ${sender}: ${wordsOf(heard)}`, troubleOf(heard), visit);
  if (verdict.failure?.category !== 'throttled') return verdict;
  // The mailbox is busy sending, which is the opposite of being unable to.
  return { ...warn(verdict.finding, verdict.remedy ?? ''), failure: verdict.failure };
}
