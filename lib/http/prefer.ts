/** What a caller prefers: an answer at once, and after how long (s) in any case. */
export interface Preferences { respondAsync: boolean, waitSeconds: number }

/** Longest wait for an answer that is to come at once (s). */
const maxWaitSeconds = 60

/**
 * Reads `Prefer`. What is not understood is no preference.
 *
 * @see https://www.rfc-editor.org/rfc/rfc7240#section-4.1
 */
export function readPreferences (header: string | string[] | undefined): Preferences {
  const words = String(header ?? '').toLowerCase().split(/[,;]/).map(word => word.replaceAll(/[\s"]/g, ''))
  const [, seconds = '0'] = /^wait=(\d{1,9})$/.exec(words.find(word => word.startsWith('wait=')) ?? '') ?? []
  return { respondAsync: words.includes('respond-async'), waitSeconds: Math.min(Number(seconds), maxWaitSeconds) }
}
