import type { Places, Share } from './connections.ts';
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
    if (await admission.takePlace(wanted)) return place;
    if (!(await leaveForTheDead())) return undefined;
    return (await admission.takePlace(wanted)) ? place : undefined;
  }

  /** A dead process of this host, unlike one that sleeps, has no connections. @returns whether there was one */
  async function leaveForTheDead(): Promise<boolean> {
    const left = (await admission.places(mailbox)).filter((place) => isDead(place.split('/')[1] ?? ''));
    if (left.length > 0) await admission.leavePlace(mailbox, ...left);
    return left.length > 0;
  }

  return {
    take: (open) =>
      take(open).catch((error) => {
        unwell(error);
        return undefined;
      }),
    // Where that fails, the next one that is taken tells of it.
    leave: (place) => void admission.leavePlace(mailbox, place).catch(unwell),
  };
}
