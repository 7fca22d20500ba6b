import { CallerLeftError } from './errors.ts'

/**
 * The promise's outcome, or a rejection with `late()` when it takes longer than `milliseconds`.
 *
 * Late means late at the other side. A worker that was busy for longer than the deadline (starting many processes does
 * that) finds both the timer due and the answer arrived; it looks at what has arrived first.
 */
export function withDeadline<Value> (promise: Promise<Value>, milliseconds: number, late: () => Error): Promise<Value> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      // Timers run before arrived data is read, immediates after it: the second turn is certain to come after both.
      setImmediate(() => setImmediate(() => reject(late())))
    }, milliseconds)
    promise.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}

/** The promise's outcome, or a rejection with CallerLeftError as soon as `signal` aborts; what the promise comes to is then nobody's. */
export function abortable<Value> (promise: Promise<Value>, signal: AbortSignal): Promise<Value> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(new CallerLeftError())
    if (signal.aborted) onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}
