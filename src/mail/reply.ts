/**
 * Where in an SMTP transaction something was said or went wrong, in the order a client meets them.
 * `after-dot` begins when the final dot may have left us (RFC 5321 §4.1.1.4): from there on silence means
 * that the outcome is unknown.
 */
export const STAGES = ['connect', 'greeting', 'ehlo', 'tls', 'auth', 'mail', 'rcpt', 'data', 'after-dot'] as const;
export type Stage = (typeof STAGES)[number];

/** What a server said, untouched save for a bound on its length. */
export interface Reply {
  /** Basic reply code, 200–599 (RFC 5321 §4.2.1). */
  code: number;
  /** Enhanced status code, for example `5.7.139` (RFC 3463), where the server gave one. */
  enhancedCode?: string;
  /** The whole text including the codes; the lines of a multi-line reply are joined with `\n`. */
  response: string;
  stage: Stage;
}

/** More of a reply than this is not kept: replies are untrusted input. */
export const MAX_RESPONSE_LENGTH = 2_000;

const REPLY_START = /^([2-5]\d\d)(?:[ -](?:([245]\.\d{1,3}\.\d{1,3})(?= |$))?|$)/;

/**
 * Reads the codes off a server's words.
 *
 * @param response the reply as received, lines joined with `\n`
 * @param code the basic code, if the protocol layer already knows it; else it is read from the text
 * @returns undefined if the text does not begin with a reply code and none was given
 */
export function parseReply(response: string, stage: Stage, code?: number): Reply | undefined {
  const text = response.slice(0, MAX_RESPONSE_LENGTH);
  const start = REPLY_START.exec(text);
  const basicCode = code ?? (start ? Number(start[1]) : undefined);
  if (basicCode === undefined) return undefined;
  const enhancedCode = start?.[2];
  return { code: basicCode, ...(enhancedCode && { enhancedCode }), response: text, stage };
}
