import type { Redis } from 'ioredis';
import type { AdmissionStore } from '../gateway/admission.ts';
import type { Chance } from '../gateway/deliver.ts';
import type { MailboxStore, MessageStore } from '../gateway/ports.ts';
import type { Backends } from './backend.ts';
import type { Clock } from './clock.ts';
import type { Jobs } from './jobs.ts';

/** What every lane of a process shares. */
export interface LaneTools {
  redis: Redis;
  prefix: string;
  backends: Backends;
  jobs: Jobs;
  messages: MessageStore;
  mailboxes: MailboxStore;
  admission: AdmissionStore;
  chance: Chance;
  clock: Pick<Clock, 'now' | 'jumped'>;
  log: LaneLog;
}

/** One line per thing that happened, past tense. */
export interface LaneLog {
  info(fields: object, sentence: string): void;
  warn(fields: object, sentence: string): void;
  error(fields: object, sentence: string): void;
}
