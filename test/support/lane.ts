import { sharedBackends } from '../../src/queue/backend.ts';
import { jobQueues } from '../../src/queue/jobs.ts';
import type { LaneTools } from '../../src/queue/tools.ts';
import { admissionStore } from '../../src/store/admission.ts';
import type { TestStore } from './store.ts';

/** For whoever reads no log. */
export const SILENT_LOG = { info: () => undefined, warn: () => undefined, error: () => undefined };

/** What a lane over this store is opened with; its clock is Redis's, unless the test says otherwise. */
export function laneTools({ redis, keys, messages, mailboxes }: TestStore, clock?: LaneTools['clock']) {
  const backends = sharedBackends(redis);
  return {
    redis,
    prefix: keys.bull,
    backends,
    jobs: jobQueues(redis, keys.bull, backends),
    messages,
    mailboxes,
    admission: admissionStore(redis, keys),
    chance: { now: () => new Date(), random: Math.random, token: () => `${Math.random()}` },
    clock: clock ?? { now: mailboxes.now, jumped: () => false },
    log: SILENT_LOG,
  };
}
