import type { MessageRecord } from './message.ts';

/**
 * A lane is named after its mailbox, and the lane for its test messages after both. No configured mailbox can have such
 * a name: an id is made of letters, digits, dots, hyphens and underscores (mailboxes-file.ts).
 */
const MARK = '~test';

/** How the keys of a test lane's holds begin; those of mailboxes begin with `mailbox:`, `tenant:` or `host:`. */
export const TEST_HOLDS = 'test:';

export function testLaneOf(mailbox: string): string {
  return `${mailbox}${MARK}`;
}

export function isTestLane(lane: string): boolean {
  return lane.endsWith(MARK);
}

/** The mailbox that a lane belongs to, as it is configured. */
export function mailboxOf(lane: string): string {
  return isTestLane(lane) ? lane.slice(0, -MARK.length) : lane;
}

/** The only lane that may send a message. What is marked as a test in either place is one. */
export function laneOf({ mailbox, test }: Pick<MessageRecord, 'mailbox' | 'test'>): string {
  return test ? testLaneOf(mailboxOf(mailbox)) : mailbox;
}
