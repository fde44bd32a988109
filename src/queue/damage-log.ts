import type { DamagedKey } from '../gateway/ports.ts';
import type { LaneLog } from './tools.ts';

/** Between two looks at the keys of one mailbox. */
const LOOK_MILLISECONDS = 60_000;
const MOST_MAILBOXES = 1_000;

/**
 * Where Redis refuses a command because of what a key is, its error names neither the key nor a remedy: this tells both,
 * once a minute for each mailbox, beside what is logged.
 *
 * @param look the damaged keys of a mailbox, or of none in particular
 * @param monotonic milliseconds
 */
export function tellDamage(
  log: LaneLog,
  look: (mailbox?: string) => Promise<DamagedKey[]>,
  monotonic: () => number = () => performance.now(),
): LaneLog {
  const lookedAt = new Map<string, number>();

  async function tell(mailbox: string | undefined): Promise<void> {
    const name = mailbox ?? '';
    const now = monotonic();
    if (now - (lookedAt.get(name) ?? Number.NEGATIVE_INFINITY) < LOOK_MILLISECONDS) return;
    if (lookedAt.size >= MOST_MAILBOXES) lookedAt.clear();
    lookedAt.set(name, now);
    const damaged = await look(mailbox);
    if (damaged.length > 0)
      log.error({ ...(mailbox && { mailbox }), damaged, remedy: REMEDY }, 'Keys in Redis are damaged');
  }

  const watching = (line: LaneLog['warn']) => (fields: object, sentence: string) => {
    const { error, mailbox } = fields as { error?: unknown; mailbox?: string };
    if (error instanceof Error && error.message.includes('WRONGTYPE')) void tell(mailbox).catch(() => undefined);
    line(fields, sentence);
  };
  return { info: log.info, warn: watching(log.warn), error: watching(log.error) };
}

const REMEDY =
  'Find out who has written to our keys: only Postroom may. Then delete those named with redis-cli (DEL): what waits goes on by itself, and a message that does not is expedited (POST /v1/messages/{id}/expedite).';
