/** A shorter value is a word and no secret; masking it would only make a sentence unreadable. */
const minSecretLength = 4

export type Mask = (text: string) => string

/**
 * A function that replaces every given secret in a text with `[hidden]`, also one that the text's end cuts off.
 */
export function createMask (secrets: Iterable<unknown>): Mask {
  const values = [...new Set(secrets)]
    .filter((secret): secret is string => typeof secret === 'string' && secret.length >= minSecretLength)
    .sort((a, b) => b.length - a.length) // longest first: masking a part of a secret would leave its rest

  return text => values.reduce((masked, secret) => maskCutOff(masked.replaceAll(secret, '[hidden]'), secret), text)
}

/** Whether a JSON text holds one of these secrets, however deep. */
export function holdsSecret (json: string, secrets: Iterable<unknown>): boolean {
  return [...secrets].some(secret => {
    const text = typeof secret === 'string' || typeof secret === 'number' ? String(secret) : ''
    return text.length >= minSecretLength && json.includes(JSON.stringify(text).slice(1, -1))
  })
}

function maskCutOff (text: string, secret: string): string {
  for (let length = Math.min(secret.length - 1, text.length); length >= minSecretLength * 2; length--) {
    if (text.endsWith(secret.slice(0, length))) return `${text.slice(0, -length)}[hidden]`
  }
  return text
}
