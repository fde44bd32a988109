import { describe, expect, it } from 'vitest';
import { CALENDAR_METHODS, type CalendarMethod, MAX_CALENDAR_LENGTH, parseCalendar } from '../../src/mail/calendar.ts';

const EVENT = [
  'UID:4711@contoso.com',
  'DTSTAMP:20260131T093000Z',
  'DTSTART:20260201T093000Z',
  'DTEND:20260201T100000Z',
  'ORGANIZER:mailto:ada@contoso.com',
  'ATTENDEE;RSVP=TRUE:mailto:grace@fabrikam.com',
];
const HEAD = ['VERSION:2.0', 'PRODID:-//Contoso//Booking//EN', 'METHOD:REQUEST'];

interface Parts {
  head?: string[];
  event?: string[];
  kind?: string;
}

function calendarOf({ head = HEAD, event = EVENT, kind = 'VEVENT' }: Parts = {}): string {
  return ['BEGIN:VCALENDAR', ...head, `BEGIN:${kind}`, ...event, `END:${kind}`, 'END:VCALENDAR'].join('\r\n');
}
const without = (lines: string[], name: string) => lines.filter((line) => !line.startsWith(name));
const withMethod = (method: string) => [...without(HEAD, 'METHOD'), `METHOD:${method}`];

function contentOf(given: string, method?: CalendarMethod): string {
  const parsed = parseCalendar(given, method);
  if (!parsed.ok) throw new Error(parsed.problem);
  return parsed.calendar.content;
}
function problemOf(given: string, method?: CalendarMethod) {
  const parsed = parseCalendar(given, method);
  return parsed.ok ? undefined : `${parsed.part}: ${parsed.problem}`;
}

describe('a calendar object is taken', () => {
  it.each(CALENDAR_METHODS)('with the METHOD %s, which need not be said twice', (method) => {
    const content = calendarOf({ head: withMethod(method) });
    expect(parseCalendar(content)).toMatchObject({ ok: true, calendar: { method } });
    expect(parseCalendar(content, method)).toMatchObject({ ok: true, calendar: { method } });
  });

  it.each([
    ['LF', '\n'],
    ['CR', '\r'],
    ['CRLF', '\r\n'],
  ])('with line ends %s, and is sent with CRLF', (_, end) => {
    expect(contentOf(calendarOf().replaceAll('\r\n', end))).toBe(`${calendarOf()}\r\n`);
  });

  it('with a byte order mark and empty lines, which are left out', () => {
    expect(contentOf(`\ufeff${calendarOf().replace('VERSION', '\r\nVERSION')}\r\n\r\n`)).toBe(`${calendarOf()}\r\n`);
  });

  it('with names in any case', () => {
    expect(problemOf(calendarOf().toLowerCase().replaceAll('mailto:', 'MAILTO:'))).toBeUndefined();
  });

  it.each([
    [
      'parameters in quotes, with colons and commas',
      'ORGANIZER;CN="Contoso: Booking, Room 5;2":mailto:ada@contoso.com',
    ],
    ['several parameters', 'ORGANIZER;CN=Ada;SENT-BY="mailto:x@contoso.com":mailto:ada@contoso.com'],
    ['a parameter in another script', 'ORGANIZER;CN=山田:mailto:ada@contoso.com'],
  ])('with %s', (_, organizer) => {
    expect(problemOf(calendarOf({ event: [...without(EVENT, 'ORGANIZER'), organizer] }))).toBeUndefined();
  });

  it('with a time zone and an alarm in it', () => {
    const zone = ['BEGIN:VTIMEZONE', 'TZID:Europe/Berlin', 'BEGIN:STANDARD', 'END:STANDARD', 'END:VTIMEZONE'];
    const alarm = ['BEGIN:VALARM', 'TRIGGER:-PT15M', 'END:VALARM'];
    expect(problemOf(calendarOf({ head: [...HEAD, ...zone], event: [...EVENT, ...alarm] }))).toBeUndefined();
  });
});

describe('the times of a calendar', () => {
  const at = (...times: string[]) =>
    calendarOf({ event: [...EVENT.filter((line) => !/^DT(START|END)/.test(line)), ...times] });
  const berlin = ['BEGIN:VTIMEZONE', 'TZID:(UTC+01:00) Berlin\\, Rome', 'END:VTIMEZONE'];
  const inBerlin = at(
    'DTSTART;TZID="(UTC+01:00) Berlin, Rome":20260201T093000',
    'DTEND;TZID="(UTC+01:00) Berlin, Rome":20260201T100000',
  );

  it.each([
    ['of days', at('DTSTART;VALUE=DATE:20260201', 'DTEND;VALUE=DATE:20260202')],
    ['without an end', at('DTSTART:20260201T093000Z')],
    ['that float', at('DTSTART:20260201T093000', 'DTEND:20260201T100000')],
    ['in a zone that it defines', inBerlin.replace('METHOD', `${berlin.join('\r\n')}\r\nMETHOD`)],
    ['in a registered zone', at('DTSTART;TZID=/example.org/Rome:20260201T093000', 'DTEND:20260201T100000Z')],
  ])('may be %s', (_, content) => {
    expect(problemOf(content)).toBeUndefined();
  });

  it.each([
    [
      'as ISO 8601 has them elsewhere',
      at('DTSTART:2026-02-01T09:30:00Z'),
      /DTSTART "2026-02-01T09:30:00Z"; write a time/,
    ],
    ['with an offset', at('DTSTART:20260201T093000Z', 'DTEND:20260201T100000+0100'), /DTEND "20260201T100000\+0100"/],
    ['in a month that is none', at('DTSTART:20261301T093000Z'), /DTSTART "20261301T093000Z"/],
    ['of an end before the start', at('DTSTART:20260201T093000Z', 'DTEND:20260201T083000Z'), /ends before it begins/],
    ['in a zone that it leaves open', inBerlin, /has times in "\(UTC\+01:00\) Berlin, Rome" and no VTIMEZONE/],
  ])('may not be %s', (_, content, why) => {
    expect(problemOf(content)).toMatch(why);
  });
});

describe('long lines of a calendar', () => {
  it.each(['Ü'.repeat(200), '😀'.repeat(100), 'x'.repeat(500), `${'x'.repeat(66)}ü`])(
    'are folded at 75 octets, never within a character, and say the same: %s',
    (summary) => {
      const content = contentOf(calendarOf({ event: [...EVENT, `SUMMARY:${summary}`] }));
      const lines = content.split('\r\n');
      expect(lines.every((line) => Buffer.byteLength(line) <= 75)).toBe(true);
      expect(lines.every((line) => !/\p{Cs}/u.test(line))).toBe(true);
      expect(content.replaceAll('\r\n ', '')).toContain(`\r\nSUMMARY:${summary}\r\n`);
    },
  );

  it.each([' ', '\t'])('may be folded already, with %j', (space) => {
    const folded = calendarOf({ event: [...EVENT, `SUMMARY:Hand\r\n${space}over`] });
    expect(contentOf(folded)).toContain('\r\nSUMMARY:Handover\r\n');
  });
});

describe('a calendar object is refused', () => {
  it.each([
    ['that is empty', '', /does not begin with BEGIN:VCALENDAR/],
    ['that is an event alone', 'BEGIN:VEVENT\nEND:VEVENT', /does not begin with BEGIN:VCALENDAR/],
    ['without its end', calendarOf().replace(/END:VCALENDAR$/, ''), /has no END:VCALENDAR/],
    ['with two ends', `${calendarOf()}\nEND:VCALENDAR`, /goes on after END:VCALENDAR/],
    ['with a second one after it', `${calendarOf()}\n${calendarOf()}`, /send one calendar object/],
    ['with one in it', calendarOf({ kind: 'VCALENDAR' }), /in the wrong place/],
    ['with ends crossed', calendarOf().replace('END:VEVENT', 'END:VTODO'), /END:"VTODO" where END:VEVENT belongs/],
    ['with a line that is none', calendarOf({ event: [...EVENT, 'hello'] }), /begin the lines that continue/],
    ['with NUL', calendarOf({ event: [...EVENT, 'SUMMARY:a\0'] }), /control character \(U\+0000\)/],
    ['with a line separator', calendarOf({ event: [...EVENT, 'SUMMARY:a\u2028b'] }), /write \\n for a line break/],
    ['nested without end', `BEGIN:VCALENDAR\n${'BEGIN:X\n'.repeat(10_000)}`, /more than 8 levels/],
    ['that is very long', `${calendarOf()}${' '.repeat(MAX_CALENDAR_LENGTH)}`, /more than 1000000 characters/],
    ['without VERSION', calendarOf({ head: without(HEAD, 'VERSION') }), /exactly one VERSION:2\.0/],
    ['of version 1', calendarOf({ head: [...without(HEAD, 'VERSION'), 'VERSION:1.0'] }), /exactly one VERSION:2\.0/],
    ['without PRODID', calendarOf({ head: without(HEAD, 'PRODID') }), /exactly one PRODID/],
    ['without METHOD', calendarOf({ head: without(HEAD, 'METHOD') }), /METHOD:REQUEST below BEGIN:VCALENDAR/],
    ['with two METHODs', calendarOf({ head: [...HEAD, 'METHOD:REQUEST'] }), /more than one METHOD/],
    ['with an unknown METHOD', calendarOf({ head: withMethod('INVITE') }), /"INVITE"; use one of REQUEST, CANCEL/],
    ['without an event', calendarOf({ kind: 'VTIMEZONE' }), /has no VEVENT/],
    ['without UID', calendarOf({ event: without(EVENT, 'UID') }), /exactly one UID/],
    ['with an empty UID', calendarOf({ event: ['UID: ', ...without(EVENT, 'UID')] }), /exactly one UID/],
    ['without DTSTAMP', calendarOf({ event: without(EVENT, 'DTSTAMP') }), /exactly one DTSTAMP/],
    ['without DTSTART', calendarOf({ event: without(EVENT, 'DTSTART') }), /exactly one DTSTART/],
    ['with an end and a length', calendarOf({ event: [...EVENT, 'DURATION:PT1H'] }), /DTEND or DURATION, not both/],
    ['without ORGANIZER', calendarOf({ event: without(EVENT, 'ORGANIZER') }), /exactly one ORGANIZER/],
    [
      'with an ORGANIZER that is no address',
      calendarOf({ event: [...without(EVENT, 'ORGANIZER'), 'ORGANIZER:ada'] }),
      /ORGANIZER with mailto:/,
    ],
    ['that asks nobody', calendarOf({ event: without(EVENT, 'ATTENDEE') }), /must have an ATTENDEE/],
    [
      'with an attendee that is no address',
      calendarOf({ event: [...EVENT, 'ATTENDEE:urn:uuid:1'] }),
      /mailto: and an address in every ATTENDEE/,
    ],
    [
      'that answers for two',
      calendarOf({ head: withMethod('REPLY'), event: [...EVENT, 'ATTENDEE:mailto:x@fabrikam.com'] }),
      /exactly one ATTENDEE/,
    ],
    [
      'about two meetings',
      calendarOf().replace(
        'END:VCALENDAR',
        `BEGIN:VEVENT\nUID:2\n${without(EVENT, 'UID').join('\n')}\nEND:VEVENT\nEND:VCALENDAR`,
      ),
      /more than one UID; a REQUEST is about one meeting/,
    ],
  ])('%s', (_, content, why) => {
    expect(problemOf(content)).toMatch(why);
    expect(problemOf(content)).toMatch(/^content: The calendar .*\.$/s);
  });

  it('whose METHOD is another than the one given', () => {
    const problem = 'method: The content says METHOD:REQUEST; both must be the same.';
    expect(problemOf(calendarOf(), 'CANCEL')).toBe(problem);
  });

  it('without METHOD also where one is given, since Exchange reads both', () => {
    const content = calendarOf({ head: without(HEAD, 'METHOD') });
    expect(problemOf(content, 'REQUEST')).toMatch(/add the line METHOD:REQUEST/);
  });
});
