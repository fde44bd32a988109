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

type Identified = Caller | RefusedToken | undefined;

/**
 * Whose credential this is: the first key's, a stored key's, or a token's. Undefined if it is nobody's. Answers at once
 * where nobody has to be asked, as for nearly every request.
 */
export function authenticate(
  { first, keys, tokens, defaultRate }: AuthenticateTools,
  credential: string,
): Identified | Promise<Identified> {
  const withRate = (caller: Identified): Identified =>
    !caller || 'refused' in caller || caller.rate || !defaultRate ? caller : { ...caller, rate: defaultRate };
  const caller = first(credential) ?? tokens?.(credential) ?? keys.callerOf(credential);
  return caller instanceof Promise ? caller.then(withRate) : withRate(caller);
}
