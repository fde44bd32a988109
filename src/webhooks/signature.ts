import { randomBytes } from 'node:crypto';
import { Webhook } from 'standardwebhooks';

/**
 * The headers of Standard Webhooks (github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md, read
 * 2026-11-23): one signature for each secret that is valid, separated by spaces, so that a rotated secret goes on.
 *
 * @param at when this try is made: receivers refuse what is more than some minutes old
 */
export function signedHeaders(id: string, at: Date, body: string, secrets: readonly string[]): Record<string, string> {
  return {
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
    'webhook-signature': secrets.map((secret) => new Webhook(secret).sign(id, at, body)).join(' '),
  };
}

/** 32 random octets; the specification asks for 24 to 64. */
export function newWebhookSecret(): string {
  return `whsec_${randomBytes(32).toString('base64')}`;
}
