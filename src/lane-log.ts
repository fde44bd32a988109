import { isTestLane, mailboxOf } from './mail/test-lane.ts';

type Line = (fields: object, sentence: string) => void;

/**
 * Where lanes are logged. What concerns a test lane is told under its mailbox's own name with `test: true`, and never as
 * a warning: a team that tries out a failure with a test key must wake nobody.
 */
export function markTests(log: { info: Line; warn: Line; error: Line }): { info: Line; warn: Line; error: Line } {
  return {
    info: (fields, sentence) => log.info(marked(fields), sentence),
    warn: (fields, sentence) => (isTest(fields) ? log.info(marked(fields), sentence) : log.warn(fields, sentence)),
    error: (fields, sentence) => log.error(marked(fields), sentence),
  };
}

function isTest(fields: object): fields is { mailbox: string } {
  return 'mailbox' in fields && typeof fields.mailbox === 'string' && isTestLane(fields.mailbox);
}

function marked(fields: object): object {
  return isTest(fields) ? { ...fields, mailbox: mailboxOf(fields.mailbox), test: true } : fields;
}
