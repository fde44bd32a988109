import type { FieldError } from '../../gateway/api.ts';
import type { Address } from '../../mail/address.ts';
import { headerKey } from '../../mail/header.ts';

export const IMPORTANCES = ['high', 'normal', 'low'] as const;

/** Exchange and Outlook read the first (RFC 2156 §5.3.4), older programs the second. */
const IMPORTANCE_FIELDS = {
  high: { Importance: 'high', 'X-Priority': '1' },
  normal: {},
  low: { Importance: 'low', 'X-Priority': '5' },
} as const;

interface Marked {
  from: Address;
  importance?: (typeof IMPORTANCES)[number] | undefined;
  readReceipt?: boolean | undefined;
}

/**
 * The header fields that a message's marks stand for. A receipt goes to the sender alone (RFC 8098 §2.1): to another
 * address a caller could have the readers' programs write to a stranger.
 */
export function marksOf({ from, importance = 'normal', readReceipt }: Marked): Record<string, string> {
  const receipt = readReceipt && { 'Disposition-Notification-To': `<${from.address}>` };
  return { ...IMPORTANCE_FIELDS[importance], ...receipt };
}

const RIVALS = ['importance', 'x-priority', 'priority', 'x-msmail-priority'];

/** The same mark in both ways, of which nobody knows which one counts. */
export function markErrors({ importance, headers }: Record<string, unknown>): FieldError[] {
  if (importance === undefined || typeof headers !== 'object' || headers === null) return [];
  const rival = Object.keys(headers).find((name) => RIVALS.includes(headerKey(name)));
  return rival === undefined
    ? []
    : [{ pointer: '/importance', message: `Give either importance or the header ${rival}, not both.` }];
}
