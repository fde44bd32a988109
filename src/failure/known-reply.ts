import type { Stage } from '../mail/reply.ts';
import type { Code } from './codes.ts';

/**
 * One thing that Microsoft 365, Entra ID or our own network stack is known to say. Words only: what we make of it
 * (whose fault, what to do) is in catalogue.ts, so that these lists can be checked against Microsoft's pages alone.
 *
 * How an entry is recognised, strongest first: its sentence together with its codes; its sentence alone (a sentence
 * outlives a lost or changed code); its codes alone. An entry with `beside` needs codes or words *and* one of these.
 * Entries of the right list, then of the right stage, then the earlier ones win.
 */
export interface KnownReply {
  /** Stable name, used to replay the example and to attach a judgement to this entry alone. */
  id: string;
  /** Who speaks: the SMTP server, the token endpoint, our own network stack, or a non-delivery report. */
  via: 'smtp' | 'token' | 'client' | 'ndr';
  /** Where it is usually met; `report` is after everything, by mail. */
  stage: Stage | 'report';
  /** The fine class. */
  code: Code;
  /** `535 5.7.139`; x stands for any digits (`5xx 5.7.9xx`), `606-649` for a range; without a basic code any will do. Alternatives. */
  codes?: readonly string[];
  /** Whole words: an AADSTS number, an OAuth error, Node's error code. Alternatives. */
  words?: readonly string[];
  /** Sentences that settle it even without codes. Compared by letters and digits only; `…` stands for anything between. Alternatives. */
  says?: readonly string[];
  /** True if these codes mean several things: without the sentence they prove nothing. */
  sentenceNeeded?: true;
  /** Phrases too common to settle it alone: they count only beside the codes or words. Alternatives. */
  beside?: readonly string[];
  /** True if this entry speaks only for its own stage: the last resorts. */
  onlyHere?: true;
  /** True if the real reason is another reply quoted inside this one. */
  quotesAnother?: true;
  /** Only for this SASL mechanism. */
  when?: 'LOGIN' | 'XOAUTH2';
  /** A whole reply as it arrives; host names, addresses and sessions are made up or shortened. */
  example: string;
  /** Public sources: repository and path or issue number, page title, date. */
  source: string;
  /**
   * measured: seen in a captured log; documented: Microsoft's own page; reported: told by others without a log;
   * client: read in the library's source; inferred: from the RFCs or by analogy.
   */
  certainty: 'measured' | 'documented' | 'reported' | 'client' | 'inferred';
}
