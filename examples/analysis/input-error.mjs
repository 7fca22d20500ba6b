/**
 * The caller sent something that cannot be used. The message is a sentence for that caller, without credentials: the
 * API answers with it and with `statusCode`, a tool with `isError`. `field` is the field of a chart that is wrong.
 */
export class InputError extends Error {
  constructor (message, { statusCode = 400, field = '', cause = undefined } = {}) {
    super(message, { cause })
    this.statusCode = statusCode
    this.field = field
  }
}
