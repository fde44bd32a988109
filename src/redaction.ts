export interface Redaction {
  /** Takes every secret out of a text, as itself and in the forms in which protocols carry it. */
  redact(text: string): string;
  /** Learns another one, such as a token that was just issued. */
  learn(secret: string): void;
}

/** Shorter ones would blank out ordinary words, and are no secrets. */
const SHORTEST = 4;

/** Servers repeat what they are told: an SMTP reply may quote the AUTH line, an error page the form that was posted. */
export function redaction(secrets: readonly string[] = []): Redaction {
  const forms = new Set<string>();
  function learn(secret: string): void {
    if (secret.length < SHORTEST) return;
    const base64 = Buffer.from(secret).toString('base64');
    const form = new URLSearchParams({ v: secret }).toString().slice(2);
    for (const each of [secret, base64, encodeURIComponent(secret), form, JSON.stringify(secret).slice(1, -1)])
      forms.add(each);
  }
  for (const secret of secrets) learn(secret);
  return {
    learn,
    // The longest first, lest a part of one be taken and the rest stay.
    redact: (text) =>
      [...forms].sort((a, b) => b.length - a.length).reduce((told, each) => told.replaceAll(each, '[secret]'), text),
  };
}
