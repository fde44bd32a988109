import MailComposer from 'nodemailer/lib/mail-composer';
import type { Address } from '../../src/mail/address.ts';
import type { Attachment, Submission } from '../../src/mail/message.ts';
import type { Fixed } from '../../src/smtp/mime.ts';

/** nodemailer's composer, given nothing but checked strings and bytes: what ours must equal in meaning. */
export async function composeByNodemailer(submission: Submission, fixed: Fixed): Promise<Buffer> {
  const composer = new MailComposer({
    from: plain(submission.from),
    to: submission.to.map(plain),
    cc: submission.cc.map(plain),
    replyTo: submission.replyTo.map(plain),
    subject: submission.subject,
    ...(submission.text !== undefined && { text: submission.text }),
    ...(submission.html !== undefined && { html: submission.html }),
    attachments: submission.attachments.map(toPart),
    headers: { ...submission.headers },
    messageId: fixed.messageId,
    date: fixed.date,
    disableFileAccess: true,
    disableUrlAccess: true,
    newline: 'win',
  });
  return composer.compile().build();
}

function plain({ name, address }: Address): { name: string; address: string } {
  return { name: name ?? '', address };
}

function toPart(attachment: Attachment) {
  return {
    filename: attachment.filename,
    content: attachment.content,
    contentType: attachment.contentType,
    contentDisposition: attachment.disposition,
    ...(attachment.contentId !== undefined && { cid: attachment.contentId }),
  };
}
