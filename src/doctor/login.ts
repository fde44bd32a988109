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
import type { Conversation, Heard, Leave } from './tools.ts';

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
    const begun = await begin(visit, 0, () => nameSender(conversation, sender));
    if (!begun.result) return notBegun(begun.leave);
    const { heard, what } = begun.result;
    if (!isAccepted(heard)) return failBecause(`${what}: ${wordsOf(heard)}`, troubleOf(heard), visit);
  }
  return ok(`Accepted for ${listed(senders)}. It proves little: Microsoft judges senders after the message.`);
}

async function nameSender(conversation: Conversation, sender: string): Promise<{ what: string; heard: Heard }> {
  const heard = await conversation.mail(sender);
  if (!isAccepted(heard)) return { what: sender, heard };
  return { what: 'RSET', heard: await conversation.reset() };
}

/** Within the mailbox's pace, where that is counted. */
function begin<T>({ tools }: Visit, recipients: number, run: () => Promise<T>): Promise<{ leave: Leave; result?: T }> {
  return tools.admission ? tools.admission.begin(recipients, run) : run().then((result) => ({ leave: 'go', result }));
}

const NOT_BEGUN = {
  go: '',
  busy: 'The mailbox sends at its full pace, and the doctor does not exceed it. Its messages show whether it works.',
  quota: 'The mailbox has used up its recipients of the last 24 hours, by Postroom’s own count.',
  unknown: 'Redis could not be asked whether the mailbox’s pace allows it.',
} as const satisfies Record<Leave, string>;

const notBegun = (leave: Leave): Verdict => skipped(NOT_BEGUN[leave]);

/** Stops at the first refusal: Microsoft shuts a mailbox that repeats an error (550 5.2.252). */
async function sendAll(visit: Visit, conversation: Conversation): Promise<Verdict> {
  if (!visit.send) return skipped('Only with --send. A login alone does not prove that the mailbox may send.');
  const { patient, tools } = visit;
  const senders = exactSenders(patient).slice(0, MOST_MESSAGES);
  let last: Heard | undefined;
  for (const sender of senders) {
    const mime = await tools.testMessage(sender);
    const { leave, result } = await begin(visit, 1, () => conversation.submit(sender, patient.address, mime));
    if (!result) return notBegun(leave);
    last = result;
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
