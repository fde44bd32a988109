import type { Caller, Rate, RefusedToken } from './api.ts';
import type { KeyCache } from './key-cache.ts';

export interface AuthenticateTools {
  /** The key that the installation was started with. */
  first(credential: string): Caller | undefined;
  keys: Pick<KeyCache, 'callerOf'>;
  /** Tokens of an identity provider, where one is configured; undefined for what is none. */
  tokens?: ((credential: string) => Promise<Caller | RefusedToken> | undefined) | undefined;
  /** For callers without a rate of their own. */
  defaultRate?: Rate | undefined;
}

/** Whose credential this is: the first key's, a stored key's, or a token's. Undefined if it is nobody's. */
export async function authenticate(
  { first, keys, tokens, defaultRate }: AuthenticateTools,
  credential: string,
): Promise<Caller | RefusedToken | undefined> {
  const caller = first(credential) ?? (await tokens?.(credential)) ?? (await keys.callerOf(credential));
  if (!caller || 'refused' in caller || caller.rate || !defaultRate) return caller;
  return { ...caller, rate: defaultRate };
}
