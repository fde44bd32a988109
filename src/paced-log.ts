import type { RedisTrouble } from './redis-trouble.ts';
import { stoodStill } from './standstill.ts';

type Line = (fields: object, sentence: string) => void;
type Lines = { info: Line; warn: Line; error: Line };

/** Said again this often while it goes on. */
const AGAIN_MILLISECONDS = 60_000;
/** Without any for so long it is over: whatever is tried again is so more often. */
const QUIET_MILLISECONDS = 15_000;
/** From so many on its end is said, too. */
const WORTH_AN_END = 3;
const LOOK_MILLISECONDS = 1_000;
/** Kept at a time; those beyond are told each time. */
const MOST = 1_000;

interface Series {
  fields: object;
  sentence: string;
  since: Date;
  toldAt: number;
  lastAt: number;
  times: number;
}

/**
 * A log in which errors that come again and again (lines with an `error`, which a loop tries to get over) are told at
 * once, then once a minute with how often and since when, and when they are over. What Redis refuses everybody is told in
 * one place. All other lines pass.
 *
 * @param monotonic milliseconds
 */
export function pacedLog(
  log: Lines,
  redis: Pick<RedisTrouble, 'isTold'>,
  monotonic: () => number = () => performance.now(),
): Lines & { close(): void } {
  const going = new Map<string, Series>();
  const stood = stoodStill(LOOK_MILLISECONDS, monotonic);
  const looking = setInterval(look, LOOK_MILLISECONDS);
  looking.unref();

  function paced(line: Line, about: (fields: object) => object): Line {
    return (fields, sentence) => {
      if (!('error' in fields)) return line(fields, sentence);
      const now = monotonic();
      const name = [sentence, ...Object.values(about(fields))].join('|');
      const series = going.get(name);
      if (!series) {
        if (going.size < MOST)
          going.set(name, { fields, sentence, since: new Date(), toldAt: now, lastAt: now, times: 1 });
        return line(fields, sentence);
      }
      series.times += 1;
      series.lastAt = now;
      if (now - series.toldAt < AGAIN_MILLISECONDS) return;
      series.toldAt = now;
      line({ since: series.since, times: series.times, ...fields }, sentence);
    };
  }

  function look(): void {
    const now = monotonic();
    const late = stood();
    for (const [name, series] of going) {
      series.lastAt += late;
      const { fields, sentence, since, lastAt, times } = series;
      if (now - lastAt < QUIET_MILLISECONDS) continue;
      going.delete(name);
      if (times >= WORTH_AN_END) log.info({ ...laneIn(fields), since, times, what: sentence }, 'This is over');
    }
  }

  const warn = paced(log.warn, laneIn);
  const error = paced(log.error, (fields) => ({ ...laneIn(fields), ...messageIn(fields) }));
  return {
    info: log.info,
    warn(fields, sentence) {
      if ('error' in fields && redis.isTold(fields.error)) return;
      warn(fields, sentence);
    },
    // Told of each message all the same, whatever Redis’s trouble is: it was sent, say, and this could not be written.
    error(fields, sentence) {
      if ('error' in fields) redis.isTold(fields.error);
      error(fields, sentence);
    },
    close: () => clearInterval(looking),
  };
}

/** What a line is about; several messages of a mailbox meet the same. */
function laneIn(fields: object): object {
  const { mailbox, webhookId } = fields as Record<string, unknown>;
  return { ...(mailbox !== undefined && { mailbox }), ...(webhookId !== undefined && { webhookId }) };
}

function messageIn(fields: object): object {
  return 'messageId' in fields ? { messageId: fields.messageId } : {};
}
