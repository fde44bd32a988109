/** What becomes of a connection after an answer; absent: it goes on. */
export const AFTERMATHS = ['close', 'drop', 'reset', 'hang'] as const;
/**
 * `close`: orderly, as after 221 or 421. `drop`: the connection ends without another word. `reset`: the same by a
 * TCP reset. `hang`: it stays open and silent until the client gives up.
 */
export type Aftermath = (typeof AFTERMATHS)[number];

/** One answer of the server to one command, or its refusal to give any. */
export interface Answer {
  /** The whole reply, lines joined with `\n` and without the last line end; absent: not a word. */
  say?: string;
  /** Milliseconds to wait before saying it. */
  delayMs?: number;
  afterwards?: Aftermath;
}

/** The first digit of the reply decides (RFC 5321 §4.2.1); an answer that ends the connection accepts nothing. */
export function accepts(answer: Answer): boolean {
  return /^[23]/.test(answer.say ?? '') && (answer.afterwards === undefined || answer.afterwards === 'close');
}
