/** One mailbox of RFC 5322 §3.4, already checked by `parseAddress`. */
export interface Address {
  /** The addr-spec, domain in lower-case ASCII (IDNA A-labels), for example `billing@contoso.com`. */
  address: string;
  /** Display name, unencoded; absent where there is none. */
  name?: string;
}
