import { clearAlarm, setAlarm } from './alarms.ts'
import { CallerLeftError } from './errors.ts'

/** Says that work is to stop. Every `AbortSignal` is one. */
export interface CancelSignal {
  readonly aborted: boolean
  readonly reason: unknown
  addEventListener: (type: 'abort', listener: () => void, options?: { once: boolean }) => void
  removeEventListener: (type: 'abort', listener: () => void) => void
}

/**
 * An AbortController and its signal in one. Making Node's costs as much as all else that a request does to find its
 * server, each listener of Node's is several objects, and more than ten of them are taken for a leak.
 */
export class Cancellation implements CancelSignal {
  aborted = false
  reason: unknown = undefined
  #listeners: Array<() => void> = []
  #native: AbortController | null = null

  /** What others may see of it: they can listen, and not abort. */
  get signal (): CancelSignal {
    return this
  }

  abort (reason: unknown = new DOMException('This operation was aborted', 'AbortError')): void {
    if (this.aborted) return
    this.aborted = true
    this.reason = reason
    // A listener may remove others, which are then not called.
    for (let listener = this.#listeners.shift(); listener !== undefined; listener = this.#listeners.shift()) listener()
    this.#native?.abort(reason)
  }

  /** As with Node's, a listener is called once, and not at all when it comes after the end. */
  addEventListener (type: 'abort', listener: () => void): void {
    if (!this.aborted) this.#listeners.push(listener)
  }

  removeEventListener (type: 'abort', listener: () => void): void {
    const position = this.#listeners.indexOf(listener)
    if (position !== -1) this.#listeners.splice(position, 1)
  }

  /** See nativeSignal. */
  native (): AbortSignal {
    if (this.#native === null) {
      this.#native = new AbortController()
      if (this.aborted) this.#native.abort(this.reason)
    }
    return this.#native.signal
  }
}

/** Node's own signal of any other, for its functions and for libraries. */
export const nativeSignal = (signal: CancelSignal): AbortSignal =>
  signal instanceof Cancellation ? signal.native() : signal as AbortSignal

/** Aborts with the first of several. */
export const anySignal = (...signals: CancelSignal[]): AbortSignal => AbortSignal.any(signals.map(nativeSignal))

/** For a caller who left, or a request that was broken off, before any server got it: no tool can have acted. */
export const leftBefore = () => Object.assign(new CallerLeftError(), { acted: 'no' as const })

/**
 * The promise's outcome, or a rejection with CallerLeftError as soon as `signal` aborts. The promise itself goes on,
 * and its outcome is dropped.
 */
export function abortable<Value> (
  promise: Promise<Value>, signal: CancelSignal, left: () => Error = () => new CallerLeftError()
): Promise<Value> {
  return unlessGivenUp(promise, giveUp => {
    const onAbort = () => giveUp(left())
    if (signal.aborted) onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    return () => signal.removeEventListener('abort', onAbort)
  })
}

/**
 * The promise's outcome, or a rejection with `late()` when it takes longer than `milliseconds`. A busy worker is not
 * taken for a late answer, and waiting keeps no process alive; see setAlarm.
 */
export function withDeadline<Value> (
  promise: Promise<Value>, milliseconds: number, late: () => Error
): Promise<Value> {
  return unlessGivenUp(promise, giveUp => {
    const alarm = setAlarm(milliseconds, () => giveUp(late()))
    return () => clearAlarm(alarm)
  })
}

/** The promise's outcome, unless `watch` gives it up before. `watch` returns how to stop watching. */
function unlessGivenUp<Value> (
  promise: Promise<Value>, watch: (giveUp: (error: Error) => void) => () => void
): Promise<Value> {
  return new Promise((resolve, reject) => {
    const stop = watch(reject)
    promise.then(value => {
      stop()
      resolve(value)
    }, error => {
      stop()
      reject(error)
    })
  })
}
