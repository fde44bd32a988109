import { type Api, type Caller, type Idempotency, StoreUnavailable } from '../gateway/api.ts';
import type { MessageView } from '../gateway/view.ts';
import type { Submission } from '../mail/message.ts';
import { fingerprint } from './fingerprint.ts';
import { conflictParticulars } from './idempotency.ts';
import { ProblemError } from './problem.ts';
import { refusalOf } from './refusal.ts';
import { ownKey } from './schemas/batch.ts';
import { pointerInBatch, type SharedFields, withShared } from './shared-fields.ts';
import { invalidFields, type Validated } from './validation.ts';

/** Composing is work for the processor, and writing waits for the disk: more at a time would only hold more memory. */
const AT_A_TIME = 8;
/** Of what the room for its body does not tell: shared attachments are decoded anew for each message. */
const WITH_SHARED_ATTACHMENTS = 1;

export type BatchResult =
  | { index: number; status: 'accepted'; replayed?: true; message: MessageView }
  | { index: number; status: 'refused'; error: ProblemError };

export interface Batch {
  api: Pick<Api, 'replay' | 'accept'>;
  caller: Caller;
  /** Judges one send body. */
  check: (item: unknown) => Validated;
  /** One `Idempotency-Key` for all. */
  key: string | undefined;
  /** What all items have that do not say otherwise. */
  shared?: SharedFields | undefined;
  /** An unexpected fault with one message, which must not hide what became of the others. */
  onFault: (error: unknown) => void;
}

/**
 * Accepts or refuses each message by itself, a few at a time, and tells in order what became of them.
 *
 * @throws StoreUnavailable if the store failed for every one of them
 */
export async function acceptBatch(items: readonly unknown[], batch: Batch): Promise<BatchResult[]> {
  const results: BatchResult[] = new Array(items.length);
  let next = 0;
  const work = async () => {
    for (let index = next++; index < items.length; index = next++)
      results[index] = await acceptItem(items[index], index, batch);
  };
  const atATime = batch.shared?.attachments === undefined ? AT_A_TIME : WITH_SHARED_ATTACHMENTS;
  await Promise.all(Array.from({ length: Math.min(atATime, items.length) }, work));
  const allAway = results.every((each) => each.status === 'refused' && each.error.problem === 'store_unavailable');
  if (allAway) throw new StoreUnavailable('The store could not be asked for any message of a batch');
  return results;
}

async function acceptItem(item: unknown, index: number, batch: Batch): Promise<BatchResult> {
  try {
    return await judgeItem(item, index, batch);
  } catch (error) {
    if (error instanceof ProblemError) return { index, status: 'refused', error };
    if (error instanceof StoreUnavailable) return refused(index, new ProblemError('store_unavailable'));
    batch.onFault(error);
    return refused(index, new ProblemError('internal_error'));
  }
}

/** As for a single message: an earlier answer is repeated before anything is judged. */
async function judgeItem(item: unknown, index: number, batch: Batch): Promise<BatchResult> {
  const { api, caller, check, shared = {} } = batch;
  const { body: own, key } = withoutKey(item, index, batch.key);
  const body = withShared(shared, own);
  const place = (pointer: string) => pointerInBatch(shared, own, index, pointer);
  const idempotency: Idempotency | undefined = key === undefined ? undefined : { key, fingerprint: fingerprint(body) };
  const replayed = idempotency && (await api.replay(caller, idempotency));
  if (replayed?.kind === 'conflict') throw conflict(replayed.messageId);
  if (replayed) return { index, status: 'accepted', replayed: true, message: replayed.message };
  const checked = check(body);
  if ('error' in checked) throw within(checked.error, place);
  const acceptance = await api.accept(caller, checked.value as Submission, idempotency);
  switch (acceptance.kind) {
    case 'accepted':
      return { index, status: 'accepted', message: acceptance.message };
    case 'replayed':
      return { index, status: 'accepted', replayed: true, message: acceptance.message };
    case 'conflict':
      throw conflict(acceptance.messageId);
    case 'refused':
      throw within(refusalOf(acceptance), place);
  }
}

/** A key from the header holds a space where it is stored, so that no caller's own key can be the same. */
function withoutKey(item: unknown, index: number, shared: string | undefined): { body: unknown; key?: string } {
  const derived = shared !== undefined && { key: `${index} ${shared}` };
  if (typeof item !== 'object' || item === null || !Object.hasOwn(item, 'idempotencyKey'))
    return { body: item, ...derived };
  const { idempotencyKey, ...body } = item as { idempotencyKey: unknown };
  const own = ownKey.safeParse({ idempotencyKey });
  if (own.success && own.data.idempotencyKey !== undefined) return { body, key: own.data.idempotencyKey };
  const message = 'This must be 1 to 255 visible ASCII characters.';
  throw invalidFields([{ pointer: `/messages/${index}/idempotencyKey`, message }]);
}

/** Pointers lead into the body of the whole request. */
function within(error: ProblemError, place: (pointer: string) => string): ProblemError {
  const { errors, ...particulars } = error.particulars;
  const inside = errors?.map((each) => ('pointer' in each ? { ...each, pointer: place(each.pointer) } : each));
  const fields = inside?.flatMap((each) => ('pointer' in each ? [each] : []));
  if (error.problem === 'invalid_fields' && fields) return invalidFields(fields);
  return new ProblemError(error.problem, { ...particulars, ...(inside && { errors: inside }) });
}

function conflict(messageId: string): ProblemError {
  return new ProblemError('idempotency_key_reused', conflictParticulars(messageId));
}

function refused(index: number, error: ProblemError): BatchResult {
  return { index, status: 'refused', error };
}
