/** Header values by name. */
type Headers = Readonly<Record<string, string | string[] | undefined>>

/** A version, two ids that are not all zeros, and flags. Only a later version than 00 may have more behind them. */
const traceparentForm = /^(?!ff)(?!00.{54})[\da-f]{2}-(?!0{32})[\da-f]{32}-(?!0{16})[\da-f]{16}-[\da-f]{2}(-[!-~]{0,200})?$/
const printable = /^[ -~]+$/
/** A participant must pass on so much of it. */
const maxStateLength = 512
/** @see https://www.w3.org/TR/baggage/#limits */
const maxBaggageLength = 8_192

/**
 * The caller's trace context, as it is passed on to MCP servers: header values by name. Values that break a rule are
 * left out, and so is `tracestate` without a valid `traceparent`.
 *
 * `baggage` holds what the caller likes, so it is passed on only where that is wanted.
 *
 * @see https://www.w3.org/TR/trace-context/
 */
export function traceContext (headers: Headers, { withBaggage }: { withBaggage: boolean }): Record<string, string> {
  if (headers.traceparent === undefined && !withBaggage) return {}
  const traceparent = single(headers.traceparent)
  const tracestate = joined(headers.tracestate)
  const baggage = withBaggage ? joined(headers.baggage) : ''
  const isTraced = traceparentForm.test(traceparent)
  return {
    ...(isTraced && { traceparent }),
    ...(isTraced && isHeader(tracestate, maxStateLength) && { tracestate }),
    ...(isHeader(baggage, maxBaggageLength) && { baggage })
  }
}

const isHeader = (value: string, maxLength: number) => value.length <= maxLength && printable.test(value)
const single = (value: string | string[] | undefined) => typeof value === 'string' ? value.trim() : ''
const joined = (value: string | string[] | undefined) => [value ?? ''].flat().join(',').trim()
