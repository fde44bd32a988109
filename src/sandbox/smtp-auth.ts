import type { Answer } from './answer.ts';
import { type Session, signed } from './session.ts';
import type { Credentials, Mechanism } from './smtp-policy.ts';
import type { Wire } from './wire.ts';

/** The prompts of AUTH LOGIN are base64 of `Username:` and `Password:` (draft-murchison-sasl-login). */
const USERNAME_PROMPT = '334 VXNlcm5hbWU6';
const PASSWORD_PROMPT = '334 UGFzc3dvcmQ6';
/** An empty challenge (RFC 4954 §4): the client goes first. */
const EMPTY_CHALLENGE = '334 ';

/**
 * Carries out the SASL exchange of RFC 4954 as far as the client's credentials.
 *
 * @param initial the initial response after the mechanism's name; undefined if the client left it out
 * @returns an answer if the client gave up or made a mistake; undefined if it is gone
 */
export async function askCredentials(
  wire: Wire,
  session: Session,
  mechanism: Mechanism,
  initial: string | undefined,
): Promise<Credentials | Answer | undefined> {
  if (mechanism === 'XOAUTH2') {
    const response = initial === undefined ? await ask(wire, EMPTY_CHALLENGE) : decode(initial);
    return typeof response === 'string' ? (readXoauth2(response) ?? malformed(session)) : refuse(response, session);
  }
  const user = initial === undefined ? await ask(wire, USERNAME_PROMPT) : decode(initial);
  if (typeof user !== 'string') return refuse(user, session);
  const password = await ask(wire, PASSWORD_PROMPT);
  if (typeof password !== 'string') return refuse(password, session);
  return { mechanism, user, password };
}

type Refusal = { fault: 'cancelled' | 'notBase64' } | undefined;

async function ask(wire: Wire, prompt: string): Promise<string | Refusal> {
  if (!(await wire.answer({ say: prompt }))) return undefined;
  const line = await wire.readLine();
  if (!line) return undefined;
  if ('fault' in line) return { fault: 'notBase64' };
  return line.text === '*' ? { fault: 'cancelled' } : decode(line.text);
}

/** RFC 4954 §4: `=` stands for an empty initial response. */
function decode(text: string): string | Refusal {
  if (text === '=') return '';
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text) || text.length % 4 !== 0) return { fault: 'notBase64' };
  return Buffer.from(text, 'base64').toString('utf8');
}

/** RFC 4954 §4 wants 501 for both. */
function refuse(refusal: Refusal, session: Session): Answer | undefined {
  if (!refusal) return undefined;
  if (refusal.fault === 'cancelled') return { say: signed('501 5.7.0 Authentication cancelled', session) };
  return { say: signed('501 5.5.2 Cannot Base64-decode the response', session) };
}

/** `user=<address>^Aauth=Bearer <token>^A^A`; learn.microsoft.com, "Authenticate an IMAP, POP or SMTP connection using OAuth". */
function readXoauth2(response: string): Credentials | undefined {
  const [user, bearer, ...end] = response.split('\u0001');
  const isWhole = user?.startsWith('user=') && bearer?.startsWith('auth=Bearer ') && end.join('|') === '|';
  if (!isWhole || !user || !bearer) return undefined;
  return { mechanism: 'XOAUTH2', user: user.slice('user='.length), token: bearer.slice('auth=Bearer '.length) };
}

function malformed(session: Session): Answer {
  return { say: signed('501 5.5.4 Invalid XOAUTH2 argument', session) };
}
