import { quote } from './characters.ts';

/** What a component says about times, by upper-case name of the property. */
export interface Timed {
  properties: ReadonlyMap<string, readonly string[]>;
  /** The time zones that its times are in. */
  zones: ReadonlyMap<string, string>;
}

/** RFC 5545 §3.3.4 and §3.3.5: a date, a time in UTC with `Z`, or a local one. */
const TIME = /^\d{4}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:T(?:[01]\d|2[0-3])[0-5]\d(?:[0-5]\d|60)Z?)?$/i;
const NAMES = ['DTSTAMP', 'DTSTART', 'DTEND', 'DUE', 'RECURRENCE-ID'];

/** What is wrong with the times of a component: many write them as ISO 8601 does everywhere else. */
export function timeProblem({ properties, zones }: Timed): string | undefined {
  for (const name of NAMES) {
    const wrong = properties.get(name)?.find((value) => !TIME.test(value.trim()));
    if (wrong !== undefined) return `has the ${name} ${quote(wrong)}; write a time as in 20260131T093000Z`;
  }
  const [start = ''] = properties.get('DTSTART') ?? [];
  const [end = start] = properties.get('DTEND') ?? [];
  // Only in one form and one zone is the order of times that of their characters.
  const isOneForm = start.length === end.length && zones.get('DTSTART') === zones.get('DTEND');
  return isOneForm && end < start ? 'ends before it begins' : undefined;
}

/** The `TZID` among the parameters of a property (RFC 5545 §3.2.19). */
export function zoneIn(parameters: string): string | undefined {
  const [, quoted, plain] = /;TZID=(?:"([^"]*)"|([^";:,]*))/i.exec(parameters) ?? [];
  return quoted ?? plain;
}

/**
 * Exchange reads a local time by the VTIMEZONE that its TZID names (MS-OXCICAL 2.1.3.1.1.19), which RFC 5546 §3.1.2
 * demands. A name that begins with a slash is registered elsewhere.
 */
export function zoneProblem(subjects: readonly Timed[], others: readonly Timed[]): string | undefined {
  const defined = others.flatMap(({ properties }) => properties.get('TZID') ?? []).map(unescaped);
  const named = subjects.flatMap(({ zones }) => [...zones.values()]);
  const missing = named.find((zone) => !zone.startsWith('/') && !defined.includes(zone));
  if (missing === undefined) return undefined;
  return `has times in ${quote(missing)} and no VTIMEZONE with this TZID; add it, or write them in UTC, as in 20260131T093000Z`;
}

/** RFC 5545 §3.3.11. */
function unescaped(text: string): string {
  return text.trim().replace(/\\([\\;,])/g, '$1');
}
