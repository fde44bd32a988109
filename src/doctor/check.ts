import { classify } from '../failure/classify.ts';
import type { Failure, Trouble } from '../failure/failure.ts';
import type { StepStatus } from '../gateway/examination.ts';
import type { Reply } from '../mail/reply.ts';
import type { Patient } from './patient.ts';
import type { Conversation, DoctorTools, Heard } from './tools.ts';

/** What one check found. */
export interface Verdict {
  status: StepStatus;
  finding: string;
  remedy?: string;
  failure?: Failure;
  /** For `skipped`: because something before it failed, so that what builds on it is skipped as well. */
  blocked?: true;
}

/** One check, and what has to be all right before it makes sense. */
export interface Check {
  id: string;
  title: string;
  /** Ids of earlier checks; if one of these failed, this one is skipped. */
  after: readonly string[];
  run: (visit: Visit) => Promise<Verdict> | Verdict;
}

/** An examination under way: what is known, and what earlier checks have opened or learned. */
export interface Visit {
  patient: Patient;
  tools: DoctorTools;
  /** Send real messages. */
  send: boolean;
  addresses: { ipv4: string[]; ipv6: string[] };
  /** The session that the SMTP checks share. */
  conversation?: Conversation;
  /** EHLO keywords, upper case, before and after TLS. */
  offers: Map<string, string>;
  token?: string;
}

export const ok = (finding: string): Verdict => ({ status: 'ok', finding });
export const skipped = (finding: string): Verdict => ({ status: 'skipped', finding });
export const warn = (finding: string, remedy: string): Verdict => ({ status: 'warn', finding, remedy });
export const fail = (finding: string, remedy: string): Verdict => ({ status: 'fail', finding, remedy });

/** A step that met a trouble: our finding, and the catalogue's judgement of it. */
export function failBecause(finding: string, trouble: Trouble, { tools, patient }: Visit): Verdict {
  const failure = classify(trouble, tools.now());
  // Ready to be copied into PowerShell.
  const remedy = failure.remedy.replaceAll('<mailbox>', patient.address);
  return { status: 'fail', finding: `${finding} ${failure.summary}`, remedy, failure };
}

export function isAccepted(heard: Heard): heard is { ok: true; reply: Reply } {
  return heard.ok && heard.reply.code < 400;
}

/** Why a command was not accepted; only of what `isAccepted` denies. */
export function troubleOf(heard: Heard, mechanism?: 'LOGIN' | 'XOAUTH2'): Trouble {
  if (!heard.ok) return heard.trouble;
  return { via: 'smtp', reply: heard.reply, ...(mechanism && { mechanism }) };
}

/** The server's words, or the error's, short and as a quotation. */
export function wordsOf(heard: Heard): string {
  if (heard.ok) return `The server said: ${short(heard.reply.response)}`;
  const { trouble } = heard;
  return trouble.via === 'client' ? `${short(trouble.message)}.` : 'There was no answer.';
}

const MOST_SHOWN = 300;

/** A foreign text on one line and bounded. */
export function short(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length > MOST_SHOWN ? `${line.slice(0, MOST_SHOWN)}…` : line;
}

export function listed(items: readonly string[], most = 5): string {
  const shown = items.slice(0, most).join(', ');
  return items.length > most ? `${shown} and ${items.length - most} more` : shown;
}
