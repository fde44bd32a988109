import { LaneClosed } from '../gateway/deliver.ts';

export const RETRY_STORE_MILLISECONDS = 500;

/** What has been learned must be written: tried until it is, whatever Redis says meanwhile. */
export async function persistently<T>(
  ask: () => Promise<T>,
  tell: (error: unknown) => void,
  signal?: AbortSignal,
): Promise<T> {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      tell(error);
      await sleep(RETRY_STORE_MILLISECONDS, signal);
    }
  }
}

/** @throws LaneClosed as soon as the signal says so */
export function sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(new LaneClosed('The lane is closing'));
    const close = () => {
      clearTimeout(timer);
      reject(new LaneClosed('The lane is closing'));
    };
    const timer = setTimeout(
      () => {
        signal?.removeEventListener('abort', close);
        resolve();
      },
      Math.max(1, milliseconds),
    );
    signal?.addEventListener('abort', close, { once: true });
  });
}
