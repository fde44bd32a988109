/** Longer names are not compared: nobody mistypes that much, and the comparison takes time by the square. */
const MAX_COMPARED_LENGTH = 40;

/** The known name that was probably meant: the same but for case, `_` and `-`, or at most two slips away. */
export function nearestName(name: string, known: readonly string[]): string | undefined {
  if (name.length > MAX_COMPARED_LENGTH) return undefined;
  const plain = plainName(name);
  const same = known.find((candidate) => plainName(candidate) === plain);
  if (same) return same;
  const [nearest] = known
    .map((candidate) => ({ candidate, slips: slipsBetween(plain, plainName(candidate)) }))
    .filter(({ candidate, slips }) => slips <= Math.min(2, Math.floor(candidate.length / 3)))
    .sort((a, b) => a.slips - b.slips);
  return nearest?.candidate;
}

/** As names are compared: without case, `_` and `-`. */
export function plainName(name: string): string {
  return name.replace(/[_-]/g, '').toLowerCase();
}

/** Levenshtein's distance. */
function slipsBetween(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, i) => i);
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let j = 1; j <= to.length; j++) {
      const swap = (row[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1);
      next.push(Math.min((next[j - 1] ?? 0) + 1, (row[j] ?? 0) + 1, swap));
    }
    row = next;
  }
  return row[to.length] ?? 0;
}
