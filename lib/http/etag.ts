import { createHash } from 'node:crypto'
import fresh from 'fresh'

/** A weak entity tag: the same for the same text, however the answer is encoded on its way. */
export const weakEtag = (text: string): string =>
  `W/"${createHash('sha256').update(text).digest('base64url')}"`

/**
 * Whether the caller has the text of a tag already.
 *
 * Its `Cache-Control` does not count: fetch adds `no-cache` to each request that has an `If-None-Match` of the page's.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-13.1.2
 */
export const isKnownToCaller = (ifNoneMatch: string | undefined, etag: string): boolean =>
  fresh({ 'if-none-match': ifNoneMatch }, { etag })
