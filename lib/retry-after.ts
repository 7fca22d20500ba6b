/** Longest pause that is believed (s): a day. */
const maxSeconds = 86_400

/**
 * The seconds in a `Retry-After`, at most a day; `null` for a text that says none.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
 */
export function parseRetryAfter (header: string): number | null {
  const text = header.trim()
  if (/^\d+(\.\d+)?$/.test(text)) return Math.min(Math.ceil(Number(text)), maxSeconds)
  // Date.parse takes a lot that is no date.
  const date = /[a-z]{3}/i.test(text) ? Date.parse(text) : NaN
  if (Number.isNaN(date)) return null
  return Math.min(Math.max(0, Math.ceil((date - Date.now()) / 1000)), maxSeconds)
}
