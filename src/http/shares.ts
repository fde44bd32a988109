/** A caller's place among those in work, or in its queue. */
export interface Place {
  /** True until it is this request's turn. */
  isQueued(): boolean;
  /** Gives the place back, to whoever of the same caller is next. */
  leave(): void;
}

export interface Asked {
  /** How many ordinary requests it counts as. */
  weight: number;
  /** It is refused where so many are in the queue already. */
  mostQueued: number;
  /** Called when its turn has come, if it is queued. */
  begin?: () => void;
}

export interface Shares {
  /** Takes a place; undefined if the queue is full. */
  take(callerId: string, asked: Asked): Place | undefined;
}

interface Waiting {
  weight: number;
  begin(): void;
}

interface Share {
  used: number;
  queue: Set<Waiting>;
}

const doNothing = () => undefined;

/** Each caller has a share of its own, and a queue of its own before it; no caller waits in another one's. */
export function callerShares(limit: number): Shares {
  const shares = new Map<string, Share>();

  function advance(callerId: string, share: Share): void {
    for (const next of share.queue) {
      if (share.used > 0 && share.used + next.weight > limit) break;
      share.queue.delete(next);
      share.used += next.weight;
      next.begin();
    }
    if (share.used === 0 && share.queue.size === 0) shares.delete(callerId);
  }

  /** In work at once, as nearly all are. */
  function placeTaken(callerId: string, share: Share, weight: number): Place {
    let held = weight;
    share.used += weight;
    return {
      isQueued: () => false,
      leave() {
        if (held === 0) return;
        share.used -= held;
        held = 0;
        advance(callerId, share);
      },
    };
  }

  return {
    take(callerId, { weight: asked, mostQueued, begin = doNothing }) {
      const weight = Math.min(asked, limit);
      const share = shares.get(callerId) ?? { used: 0, queue: new Set<Waiting>() };
      shares.set(callerId, share);
      if (share.queue.size >= mostQueued && share.used + weight > limit) return undefined;
      const isFree = share.queue.size === 0 && (share.used === 0 || share.used + weight <= limit);
      if (isFree) return placeTaken(callerId, share, weight);
      const waiting: Waiting = { weight, begin };
      let left = false;
      share.queue.add(waiting);
      return {
        isQueued: () => share.queue.has(waiting),
        leave() {
          if (left) return;
          left = true;
          if (!share.queue.delete(waiting)) share.used -= waiting.weight;
          advance(callerId, share);
        },
      };
    },
  };
}
