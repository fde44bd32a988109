import { z } from 'zod';
import { failure, testMark, time } from './message.ts';

/** A `MessagePreview`. */
export const messagePreview = z
  .looseObject({
    status: z.enum(['queued', 'scheduled', 'held']).meta({
      description: 'How it would read at first: `held` if its mailbox cannot send at present.',
    }),
    mailbox: z.string().meta({ description: 'Id of the mailbox that would be chosen.' }),
    test: testMark,
    recipients: z.array(z.string()).meta({ description: 'Whom it would go to, each once.' }),
    sizeBytes: z.int().meta({ description: 'Size of the encoded message in octets.' }),
    sendAt: time.optional().meta({ description: 'For `scheduled`: when it would enter its lane.' }),
    estimatedSendAt: time.optional().meta({ description: 'For `queued`: when its turn should come.' }),
    failure: failure.optional().meta({ description: 'For `held`: why.' }),
  })
  .meta({ id: 'MessagePreview', description: 'What would become of a message if it were sent now.' });
