import { Redis } from 'ioredis';
import { STAGE } from './accept-script.ts';
import { KEEP_PERMIT, TAKE_PLACE, VISIT_PERMIT } from './admission-scripts.ts';
import { LOADS } from './headroom.ts';
import { COUNT_OWN, FORGET_CALLER, READ_RECORDS } from './list-scripts.ts';
import * as scheduleScripts from './schedule-scripts.ts';
import * as scripts from './scripts.ts';
import { STEPS } from './steps-script.ts';
import { FORGET_HOLDS, LEAVE, POSTPONE, SENDING } from './sweep-scripts.ts';
import { CHANGE_SECRETS, CHANGE_WEBHOOK, CREATE_WEBHOOK, DROP_EVENTS, NOTE_DELIVERY } from './webhook-scripts.ts';

/**
 * Two ways to use Redis. `prompt` fails within about two seconds, so that the API can answer 503 instead of hanging; a
 * command that timed out may still have been carried out, or be when a Redis that stood still goes on, save what is asked
 * for `whileAwaited`. `patient` waits for Redis to come back however long it takes: what a worker has learned must be
 * written, not given up.
 */
export type Patience = 'prompt' | 'patient';

const COMMAND_TIMEOUT_MILLISECONDS = 2_000;
/**
 * A connection that owes an answer for so long is given up: its other end may be gone without having said so. The prompt
 * one before the first of its commands is: a request that had to wait for others of its caller, and begins when these
 * are given up, must be refused at once, since it has waited as long as they did.
 */
const SILENCE_MILLISECONDS = { prompt: COMMAND_TIMEOUT_MILLISECONDS - 200, patient: 10_000 };

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
  forgetGivenUp(redis);
  redis.on('error', (error: Error) => {
    lastErrors.set(redis, error);
    onError(error);
  });
  // One for each lane. Not 0, which means the same until BullMQ adds to it what its own need.
  redis.setMaxListeners(Number.POSITIVE_INFINITY);
  return redis;
}

const lastErrors = new WeakMap<Redis, Error>();

/** Why there is no connection, in the words of the last try to make one; of a command the driver says only that it is none. */
export function whyNotConnected(redis: Redis): string | undefined {
  return redis.status === 'ready' ? undefined : lastErrors.get(redis)?.message;
}

/**
 * When there is a connection again the driver repeats what the last one left unanswered, that too which was given up long
 * before. A message whose caller was told that it cannot be taken, and sent it elsewhere, would be accepted after all.
 */
function forgetGivenUp(redis: Redis): void {
  const send = redis.sendCommand.bind(redis);
  redis.sendCommand = (command, stream) => (command.isSettled ? command.promise : send(command, stream));
}

/** Our scripts as commands. Their replies are Buffers, since one of them carries a message's bytes. */
export interface Scripted {
  /** Defined by `messageStore`. */
  acceptMessages(...args: (string | Buffer)[]): Promise<(string | null)[][]>;
  /** With the number of keys first. */
  takeStepsBuffer(...args: (string | number)[]): Promise<(Buffer | null)[][]>;
  stagePiece(content: string, message: string, at: number, piece: Buffer, milliseconds: number): Promise<number>;
  readMessage(key: string, prefix: string): Promise<[string[], string | null, string, string, string] | null>;
  scheduleMessage(...args: (string | number | Buffer)[]): Promise<[string, string, (string | null)?]>;
  rescheduleMessage(...args: (string | number)[]): Promise<string[]>;
  expediteMessage(...args: (string | number)[]): Promise<string[]>;
  releaseDue(...args: (string | number)[]): Promise<[string, string, string[][]]>;
  mailboxLoads(...args: (string | number)[]): Promise<number[][]>;
  readRecords(numberOfKeys: number, ...keys: string[]): Promise<string[][]>;
  forgetCaller(list: string, callers: string, counts: string, callerId: string): Promise<number>;
  countOwn(counts: string, callerId: string, messages: string, sending: string): Promise<string[]>;
  reticket(key: string, due: string, ticket: string, id: string): Promise<number>;
  claimDue(due: string, most: number, putOff: number): Promise<string[]>;
  postponeLook(key: string, due: string, id: string, ticket: string, at: number): Promise<number>;
  leaveMessage(key: string, content: string, due: string, ...args: string[]): Promise<number>;
  forgetHolds(holds: string, milliseconds: number): Promise<string[]>;
  sendingOf(sending: string, leaseKey: string, messages: string, lease: string): Promise<string[] | 0>;
  /** With the number of keys first. */
  takeLeases(keys: number, ...args: string[]): Promise<number[]>;
  writeEnginesHold(holds: string, key: string, hold: string): Promise<number>;
  describeMailbox(about: string, holds: string, leasePrefix: string, ...keys: string[]): Promise<string[]>;
  releaseHolds(holds: string, busy: string, about: string, mailbox: string): Promise<string[]>;
  claimTrial(trial: string, by: string, milliseconds: number, leasePrefix: string): Promise<number>;
  lookForWork(busy: string, leasePrefix: string, leaseMilliseconds: number): Promise<(string | number)[]>;
  releaseLease(key: string, id: string): Promise<number>;
  takePlace(places: string, lease: string, ...args: (string | number)[]): Promise<number>;
  permitVisitor(permits: string, sending: string, day: string, ...args: (string | number)[]): Promise<number>;
  keepPermit(permits: string, token: string, window: number): Promise<number>;
  createWebhook(key: string, all: string, ofCaller: string, ...args: string[]): Promise<number>;
  changeSecrets(key: string, from: string, to: string): Promise<number>;
  changeWebhook(key: string, ...setClearAndBy: string[]): Promise<number>;
  dropEvents(key: string, counters: string, ...args: string[]): Promise<number>;
  noteDelivery(key: string, deliveries: string, ...args: string[]): Promise<string>;
}

export function withScripts(redis: Redis): Redis & Scripted {
  redis.defineCommand('stagePiece', { numberOfKeys: 2, lua: STAGE });
  redis.defineCommand('takeSteps', { lua: STEPS });
  redis.defineCommand('readMessage', { numberOfKeys: 1, lua: scripts.READ });
  redis.defineCommand('scheduleMessage', { numberOfKeys: 3, lua: scheduleScripts.SCHEDULE });
  redis.defineCommand('rescheduleMessage', { numberOfKeys: 1, lua: scheduleScripts.RESCHEDULE });
  redis.defineCommand('expediteMessage', { numberOfKeys: 1, lua: scheduleScripts.EXPEDITE });
  redis.defineCommand('releaseDue', { numberOfKeys: 1, lua: scheduleScripts.RELEASE_DUE });
  redis.defineCommand('mailboxLoads', { numberOfKeys: 1, lua: LOADS });
  redis.defineCommand('readRecords', { lua: READ_RECORDS });
  redis.defineCommand('forgetCaller', { numberOfKeys: 3, lua: FORGET_CALLER });
  redis.defineCommand('countOwn', { numberOfKeys: 1, lua: COUNT_OWN });
  redis.defineCommand('reticket', { numberOfKeys: 2, lua: scripts.RETICKET });
  redis.defineCommand('claimDue', { numberOfKeys: 1, lua: scripts.CLAIM_DUE });
  redis.defineCommand('postponeLook', { numberOfKeys: 2, lua: POSTPONE });
  redis.defineCommand('leaveMessage', { numberOfKeys: 3, lua: LEAVE });
  redis.defineCommand('forgetHolds', { numberOfKeys: 1, lua: FORGET_HOLDS });
  redis.defineCommand('sendingOf', { numberOfKeys: 2, lua: SENDING });
  redis.defineCommand('takeLeases', { lua: scripts.LEASE });
  redis.defineCommand('writeEnginesHold', { numberOfKeys: 1, lua: scripts.ENGINES_HOLD });
  redis.defineCommand('describeMailbox', { numberOfKeys: 2, lua: scripts.DESCRIBE });
  redis.defineCommand('releaseHolds', { numberOfKeys: 3, lua: scripts.RELEASE_HOLDS });
  redis.defineCommand('claimTrial', { numberOfKeys: 1, lua: scripts.CLAIM_TRIAL });
  redis.defineCommand('lookForWork', { numberOfKeys: 1, lua: scripts.LOOK });
  redis.defineCommand('releaseLease', { numberOfKeys: 1, lua: scripts.RELEASE });
  redis.defineCommand('takePlace', { numberOfKeys: 2, lua: TAKE_PLACE });
  redis.defineCommand('permitVisitor', { numberOfKeys: 3, lua: VISIT_PERMIT });
  redis.defineCommand('keepPermit', { numberOfKeys: 1, lua: KEEP_PERMIT });
  redis.defineCommand('createWebhook', { numberOfKeys: 3, lua: CREATE_WEBHOOK });
  redis.defineCommand('changeSecrets', { numberOfKeys: 1, lua: CHANGE_SECRETS });
  redis.defineCommand('changeWebhook', { numberOfKeys: 1, lua: CHANGE_WEBHOOK });
  redis.defineCommand('dropEvents', { numberOfKeys: 2, lua: DROP_EVENTS });
  redis.defineCommand('noteDelivery', { numberOfKeys: 2, lua: NOTE_DELIVERY });
  return redis as unknown as Redis & Scripted;
}
