import { Redis } from 'ioredis';
import * as scripts from './scripts.ts';
import { CHANGE_WEBHOOK, NOTE_DELIVERY } from './webhook-scripts.ts';

/**
 * Two ways to use Redis. `prompt` fails within about two seconds, so that the API can answer 503 instead of hanging;
 * a command that timed out may still have been carried out. `patient` waits for Redis to come back however long it
 * takes: what a worker has learned must be written, not given up.
 */
export type Patience = 'prompt' | 'patient';

const COMMAND_TIMEOUT_MILLISECONDS = 2_000;
/** A connection that owes an answer for so long is given up: its other end may be gone without having said so. */
const SILENCE_MILLISECONDS = { prompt: 4_000, patient: 10_000 };

/**
 * @param url `redis://`, `rediss://`, or an absolute path of a Unix socket (with or without `unix://` before it)
 */
export function connectRedis(url: string, patience: Patience, onError: (error: Error) => void): Redis {
  const address = url.replace(/^unix:\/\//, '');
  const options =
    patience === 'prompt'
      ? { maxRetriesPerRequest: 1, enableOfflineQueue: false, commandTimeout: COMMAND_TIMEOUT_MILLISECONDS }
      : { maxRetriesPerRequest: null };
  const redis = new Redis(address, {
    ...options,
    connectTimeout: 2_000,
    socketTimeout: SILENCE_MILLISECONDS[patience],
    retryStrategy: (times) => Math.min(50 * 2 ** Math.min(times, 6), 1_000) * (0.75 + Math.random() / 2),
  });
  redis.on('error', onError);
  redis.setMaxListeners(0);
  return redis;
}

/** Our scripts as commands. Their replies are Buffers, since one of them carries a message's bytes. */
export interface Scripted {
  acceptMessageBuffer(...args: (string | number | Buffer)[]): Promise<Buffer[]>;
  beginAttemptBuffer(...args: (string | number | Buffer)[]): Promise<(Buffer | Buffer[])[]>;
  moveMessage(...args: (string | number)[]): Promise<string[]>;
  readMessage(
    key: string,
    attempts: string,
    prefix: string,
  ): Promise<[string[], string[], string | null, string] | null>;
  markDot(key: string, token: string): Promise<number>;
  reticket(key: string, due: string, ticket: string, id: string): Promise<number>;
  landOrphans(flights: string, permits: string, window: string): Promise<number>;
  takeLease(key: string, lastOwner: string, id: string, milliseconds: string): Promise<number>;
  releaseLease(key: string, id: string): Promise<number>;
  changeWebhook(key: string, ...setAndClear: string[]): Promise<number>;
  noteDelivery(key: string, deliveries: string, ...args: string[]): Promise<string>;
}

export function withScripts(redis: Redis): Redis & Scripted {
  redis.defineCommand('acceptMessage', { numberOfKeys: 15, lua: scripts.ACCEPT });
  redis.defineCommand('beginAttempt', { numberOfKeys: 15, lua: scripts.BEGIN });
  redis.defineCommand('moveMessage', { numberOfKeys: 15, lua: scripts.MOVE });
  redis.defineCommand('readMessage', { numberOfKeys: 2, lua: scripts.READ });
  redis.defineCommand('markDot', { numberOfKeys: 1, lua: scripts.MARK_DOT });
  redis.defineCommand('reticket', { numberOfKeys: 2, lua: scripts.RETICKET });
  redis.defineCommand('landOrphans', { numberOfKeys: 2, lua: scripts.LAND_ORPHANS });
  redis.defineCommand('takeLease', { numberOfKeys: 2, lua: scripts.LEASE });
  redis.defineCommand('releaseLease', { numberOfKeys: 1, lua: scripts.RELEASE });
  redis.defineCommand('changeWebhook', { numberOfKeys: 1, lua: CHANGE_WEBHOOK });
  redis.defineCommand('noteDelivery', { numberOfKeys: 2, lua: NOTE_DELIVERY });
  return redis as unknown as Redis & Scripted;
}
