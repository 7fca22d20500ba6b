import { CallerLeftError } from './errors.ts'

/** The promise's outcome, or a rejection with CallerLeftError as soon as `signal` aborts; what the promise comes to is then nobody's. */
export function orLeave<Value> (promise: Promise<Value>, signal: AbortSignal): Promise<Value> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(new CallerLeftError())
    if (signal.aborted) onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}
