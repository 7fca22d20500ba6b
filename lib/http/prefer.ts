import { splitAt } from './split-header.ts'

/** What a caller prefers: an answer at once, and after how long (s) in any case. */
export interface Preferences { respondAsync: boolean, waitSeconds: number }

/** Longest wait for an answer that is to come at once (s). */
const maxWaitSeconds = 60

/**
 * Reads `Prefer`. What is not understood is no preference, and of equal names the first one counts.
 *
 * Many write `respond-async; wait=5`, where `wait` is a parameter of the other one: it is taken for what they mean.
 *
 * @see https://www.rfc-editor.org/rfc/rfc7240#section-2
 */
export function readPreferences (header: string | string[] | undefined): Preferences {
  const preferences = new Map<string, string>()
  for (const text of splitAt(String(header ?? ''), ',')) {
    const [preference = ['', ''], ...parameters] = splitAt(text, ';').map(nameAndValue)
    for (const [name, value] of preference[0] === 'respond-async' ? [preference, ...parameters] : [preference]) {
      if (!preferences.has(name)) preferences.set(name, value)
    }
  }
  const wait = preferences.get('wait') ?? ''
  return {
    respondAsync: preferences.get('respond-async') === '',
    waitSeconds: /^\d+$/.test(wait) ? Math.min(Number(wait), maxWaitSeconds) : 0
  }
}

/** A value may stand in quotes. An empty one is none. */
function nameAndValue (text: string): [name: string, value: string] {
  const [name = '', ...value] = text.split('=')
  return [name.trim().toLowerCase(), value.join('=').trim().replace(/^"(.*)"$/, '$1')]
}
