const CLOSING = '--';

/**
 * Counts the parts of a multipart body as its octets go by (RFC 2046 §5.1.1). The parser passes over a part without a
 * usable name in silence; a file must not be lost in this way.
 */
export class PartCounter {
  readonly #delimiter: Buffer;
  #window: Buffer = Buffer.from('\r\n');
  #closed = false;
  /** How many have begun. */
  parts = 0;

  constructor(boundary: string) {
    this.#delimiter = Buffer.from(`\r\n--${boundary}`);
  }

  see(chunk: Buffer): void {
    if (this.#closed) return;
    const window = Buffer.concat([this.#window, chunk]);
    const length = this.#delimiter.length;
    let from = 0;
    let at = window.indexOf(this.#delimiter);
    for (; at >= 0 && at + length + CLOSING.length <= window.length; at = window.indexOf(this.#delimiter, from)) {
      from = at + length;
      if (window.toString('latin1', from, from + CLOSING.length) === CLOSING) this.#closed = true;
      if (this.#closed) return;
      this.parts++;
    }
    // What may be the beginning of a delimiter is looked at again with the next octets.
    this.#window = window.subarray(at >= 0 ? at : Math.max(from, window.length - length));
  }
}

/** RFC 2046 §5.1.1; undefined if there is none. */
export function boundaryOf(contentType: string): string | undefined {
  const [, quoted, plain] = /;\s*boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))/i.exec(contentType) ?? [];
  return quoted ?? plain;
}
