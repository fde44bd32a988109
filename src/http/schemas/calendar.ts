import { z } from 'zod';
import { CALENDAR_METHODS, type Calendar, MAX_CALENDAR_LENGTH, parseCalendar } from '../../mail/calendar.ts';
import { wrongType } from './wrong-type.ts';

const fields = z.strictObject(
  {
    method: z.enum(CALENDAR_METHODS).optional().meta({
      description: 'What it asks of its reader; the `METHOD` of the content if absent, and the same if not.',
      example: 'REQUEST',
    }),
    content: z.string().meta({
      description: `The iCalendar object (RFC 5545): \`VERSION:2.0\`, \`PRODID\`, \`METHOD\`, and components with \`UID\`, \`DTSTAMP\` and \`ORGANIZER\`; a \`REQUEST\` has at least one \`ATTENDEE\`. At most ${MAX_CALENDAR_LENGTH.toLocaleString('en')} characters; any line ends, folded or not.`,
    }),
  },
  { error: wrongType('This must be an object, as in {"method": "REQUEST", "content": "BEGIN:VCALENDAR…"}.') },
);

export const CALENDAR_FIELDS = Object.keys(fields.shape);

export const calendar = fields
  .transform(({ method, content }, context): Calendar => {
    const parsed = parseCalendar(content, method);
    if (parsed.ok) return parsed.calendar;
    context.addIssue({ code: 'custom', path: [parsed.part], message: parsed.problem });
    return z.NEVER;
  })
  .meta({
    id: 'Calendar',
    description:
      'An invitation, or another calendar object, that mail programs show as such. For a file to download, attach it as well.',
  });
