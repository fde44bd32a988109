import { ReplyError } from 'ioredis';
import { LEFT_BEHIND_MILLISECONDS } from '../gateway/admission.ts';
import type { Places, Share } from './connections.ts';
import { freshly } from './fresh.ts';
import type { LaneSettings } from './lane.ts';
import { isDead, processName } from './same-host.ts';
import type { LaneTools } from './tools.ts';

/**
 * One connection fewer than the limit, where that is more than one: the last is for whoever takes the lane over from a
 * process that sleeps with its connections open, and for the doctor. A lane whose server is slow uses it all the same.
 */
export function shareOf(limit: number, isBehind: Share['isBehind']): Share {
  return { limit, usual: Math.max(1, limit - 1), isBehind };
}

const RETRY_MILLISECONDS = 500;

/** The places of one owner of a lane. */
export function lanePlaces(
  { mailbox, connections: limit }: Pick<LaneSettings<unknown>, 'mailbox' | 'connections'>,
  lease: string,
  { admission, chance, log }: Pick<LaneTools, 'admission' | 'chance' | 'log'>,
): Places {
  const unwell = (error: unknown) => log.warn({ mailbox, error }, 'Connections could not be counted yet');

  async function take(open: string[]): Promise<string | undefined> {
    const place = `${lease}/${processName()}/${chance.token()}`;
    const wanted = { mailbox, place, limit, lease, open };
    let asked = 0;
    const ask = () =>
      freshly(() => {
        asked += 1;
        return admission.takePlace(wanted);
      });
    try {
      if (await ask()) return place;
      return (await leaveForTheDead()) && (await ask()) ? place : undefined;
    } catch (error) {
      unwell(error);
      // What Redis refused at once was not taken; of what it did not answer, or answered too late before, nobody knows.
      if (asked > 1 || !(error instanceof ReplyError)) void leave(place);
      else await pause(RETRY_MILLISECONDS);
      return undefined;
    }
  }

  /** Those that are to be left, and by when they need not be any more. */
  const leaving = new Map<string, number>();
  let isLeaving = false;

  /**
   * Tried again until Redis takes it: once another process has the lane, the place would keep it from its connections. All
   * in one step, since a Redis that refuses for long makes ever more of them.
   */
  async function leave(place: string): Promise<void> {
    leaving.set(place, performance.now() + LEFT_BEHIND_MILLISECONDS);
    if (isLeaving) return;
    isLeaving = true;
    while (leaving.size > 0) {
      const those = [...leaving.keys()];
      try {
        await admission.leavePlace(mailbox, ...those);
        for (const each of those) leaving.delete(each);
      } catch (error) {
        unwell(error);
        await pause(RETRY_MILLISECONDS);
        for (const [each, until] of leaving) if (until < performance.now()) leaving.delete(each);
      }
    }
    isLeaving = false;
  }

  /** A dead process of this host, unlike one that sleeps, has no connections. @returns whether there was one */
  async function leaveForTheDead(): Promise<boolean> {
    const left = (await admission.places(mailbox)).filter((place) => isDead(place.split('/')[1] ?? ''));
    if (left.length > 0) await admission.leavePlace(mailbox, ...left);
    return left.length > 0;
  }

  return { take, leave: (place) => void leave(place) };
}

/** Keeps no process alive that has nothing else to do. */
function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds).unref());
}
