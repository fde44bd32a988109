import { z } from 'zod';
import { MAX_ATTACHMENTS } from './attachment.ts';
import { sendMessage } from './send-message.ts';

const file = z.string().meta({ contentMediaType: 'application/octet-stream' });

/** The parts of a form, as the document shows them; they are read by `upload.ts`. */
export const sendForm = z
  .looseObject({
    message: sendMessage,
    attachments: z
      .array(file)
      .max(MAX_ATTACHMENTS)
      .optional()
      .meta({
        description: `Files, each a part of its own named \`attachments\`, with a filename and a Content-Type; at most ${MAX_ATTACHMENTS} with the inline ones.`,
      }),
  })
  .meta({
    id: 'SendForm',
    description:
      'The message as a first part named `message`, in JSON of at most 1 MiB, then its files. Those that the HTML shows are named `inline:<contentId>`.',
  });
