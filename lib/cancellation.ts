import { setMaxListeners } from 'node:events'
import { CallerLeftError } from './errors.ts'

/**
 * The promise's outcome, or a rejection with `late()` when it takes longer than `milliseconds`.
 *
 * A busy worker is not taken for a late answer. When starting many processes kept it busy past the deadline, the timer
 * is due and the answer has arrived as well: arrived data is read first.
 */
export function withDeadline<Value> (
  promise: Promise<Value>, milliseconds: number, late: () => Error
): Promise<Value> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      // Timers run before arrived data is read, immediates after it: the second turn is certain to come after both.
      setImmediate(() => setImmediate(() => reject(late())))
    }, milliseconds)
    promise.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}

/**
 * An AbortController that makes its signal when somebody asks for it first: making one costs as much as all else that a
 * request does to find its server, and most requests need none.
 */
export class LateController {
  #controller: AbortController | null = null

  get signal (): AbortSignal {
    return this.#made().signal
  }

  /** Also where nobody has asked for the signal yet: who does so later must find it aborted. */
  abort (): void {
    this.#made().abort()
  }

  #made (): AbortController {
    if (this.#controller === null) {
      this.#controller = new AbortController()
      // A listing listens for each of its servers. Node takes more than ten for a leak, and writes to stderr.
      setMaxListeners(0, this.#controller.signal)
    }
    return this.#controller
  }
}

/** For a caller who left, or a request that was broken off, before any server got it: no tool can have acted. */
export const leftBefore = () => Object.assign(new CallerLeftError(), { acted: 'no' as const })

/**
 * The promise's outcome, or a rejection with CallerLeftError as soon as `signal` aborts. The promise itself goes on,
 * and its outcome is dropped.
 */
export function abortable<Value> (
  promise: Promise<Value>, signal: AbortSignal, left: () => Error = () => new CallerLeftError()
): Promise<Value> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(left())
    if (signal.aborted) onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    promise.then(value => {
      signal.removeEventListener('abort', onAbort)
      resolve(value)
    }, error => {
      signal.removeEventListener('abort', onAbort)
      reject(error)
    })
  })
}
