import type { EntraConfig } from './entra-tokens.ts';
import { type Reader, shown } from './environment.ts';
import { authorityUrl } from './mailbox-fields.ts';

const GUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** @returns undefined where callers' tokens are not configured, or have a fault, which is then told */
export function readEntra(env: Reader, faults: string[]): EntraConfig | undefined {
  const tenantId = env.text('POSTROOM_ENTRA_TENANT')?.toLowerCase();
  const audience = env.text('POSTROOM_ENTRA_AUDIENCE');
  const authority = env.text('POSTROOM_ENTRA_AUTHORITY');
  if (tenantId === undefined && audience === undefined && authority === undefined) return undefined;
  if (!tenantId || !audience) {
    faults.push('POSTROOM_ENTRA_TENANT and POSTROOM_ENTRA_AUDIENCE go together; set both, or neither.');
    return undefined;
  }
  if (!GUID.test(tenantId))
    faults.push(`POSTROOM_ENTRA_TENANT must be the id of one tenant (a GUID), not "${shown(tenantId)}".`);
  const audiences = audience.split(',').map((each) => each.trim());
  if (audiences.includes('')) faults.push('POSTROOM_ENTRA_AUDIENCE has an empty entry.');
  const url = authorityUrl('POSTROOM_ENTRA_AUTHORITY', authority ?? 'https://login.microsoftonline.com', faults);
  return { tenantId, audiences, authority: url };
}
