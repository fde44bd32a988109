import type { Places, Share } from './connections.ts';
import type { LaneSettings } from './lane.ts';
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
  { admission, chance, log }: LaneTools,
): Places {
  const unwell = (error: unknown) => log.warn({ mailbox, error }, 'Connections could not be counted yet');
  return {
    async take(open) {
      const place = `${lease}/${chance.token()}`;
      const isTaken = await admission.takePlace({ mailbox, place, limit, lease, open }).catch(unwell);
      return isTaken ? place : undefined;
    },
    // Where that fails, the next one that is taken tells of it.
    leave: (place) => void admission.leavePlace(mailbox, place).catch(unwell),
  };
}
