/** Requests at once where only a rate is given: what grows back in ten seconds. */
export function usualBurst(perMinute: number): number {
  return Math.max(1, Math.ceil(perMinute / 6));
}
