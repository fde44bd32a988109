import { z } from 'zod';
import { checkContentId, checkContentType, checkFilename } from '../../mail/attachment.ts';
import type { Attachment } from '../../mail/message.ts';
import { checkedBy } from './checked-by.ts';

export const MAX_ATTACHMENTS = 100;

/** RFC 4648 §4, padded, without line breaks; `Buffer.from` alone would skip whatever it does not know. */
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;

export const base64 = z.string().refine((text) => text.length % 4 === 0 && BASE64.test(text), {
  error:
    'This must be base64 with padding and the characters A-Z a-z 0-9 + / only (RFC 4648 §4): no line breaks, no URL-safe form, no data: prefix.',
});

const content = base64.meta({
  description: 'The file in base64 (RFC 4648 §4), padded, without line breaks.',
  contentEncoding: 'base64',
  example: 'SGVsbG8sIEFkYSEK',
});

const fields = z.strictObject({
  filename: z
    .string()
    .superRefine(checkedBy(checkFilename))
    .meta({ description: 'At most 255 characters, without folders.', example: 'invoice.txt' }),
  content,
  contentType: z.string().superRefine(checkedBy(checkContentType)).default('application/octet-stream').meta({
    description: 'Media type without parameters. `multipart/*` and `message/*` are refused.',
    example: 'text/plain',
  }),
  contentId: z
    .string()
    .superRefine(checkedBy(checkContentId))
    .optional()
    .meta({ description: 'To show it in the HTML as `<img src="cid:…">`; without angle brackets.' }),
  disposition: z
    .enum(['attachment', 'inline'])
    .optional()
    .meta({ description: '`inline` if there is a `contentId`, else `attachment`.' }),
});

export const ATTACHMENT_FIELDS = Object.keys(fields.shape);

export const attachment = fields
  .transform(
    ({ filename, content, contentType, contentId, disposition }): Attachment => ({
      filename,
      contentType: contentType.toLowerCase(),
      content: Buffer.from(content, 'base64'),
      ...(contentId !== undefined && { contentId }),
      disposition: disposition ?? (contentId === undefined ? 'attachment' : 'inline'),
    }),
  )
  .meta({ id: 'Attachment', description: 'A file to send along.' });

export const attachments = z
  .array(attachment)
  .max(MAX_ATTACHMENTS)
  .superRefine((list, context) => {
    const seen = new Set<string>();
    for (const [index, { contentId }] of list.entries()) {
      if (contentId === undefined) continue;
      const message = 'Another attachment has the same contentId; each needs its own.';
      if (seen.has(contentId)) context.addIssue({ code: 'custom', path: [index, 'contentId'], message });
      seen.add(contentId);
    }
  });
