// @ts-check

/**
 * What the caller gave cannot be used. The message is a sentence for that caller and never holds a credential:
 * the API answers it with a 400, a tool with `isError`.
 */
export class InputError extends Error {
  name = 'InputError'
}
