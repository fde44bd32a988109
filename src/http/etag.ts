/** RFC 9110 §8.8.3. */
export function quotedEtag(etag: string): string {
  return `"${etag}"`;
}

/** RFC 9110 §13.1.2: whether `If-None-Match` names this representation; the comparison is the weak one. */
export function namesEtag(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false;
  const given = ifNoneMatch.split(',').map((each) => each.trim().replace(/^W\//, ''));
  return given.includes('*') || given.includes(quotedEtag(etag));
}
