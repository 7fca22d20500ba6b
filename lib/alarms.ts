import { createNumberTable } from './number-table.ts'

interface Alarm { id: number, dueAt: number, ring: () => void }

const alarms = createNumberTable<Alarm>()
let nextId = 1
let timer: NodeJS.Timeout | undefined
let timerIsDueAt = Infinity

/**
 * Calls `ring` in so many milliseconds, unless the alarm is cleared before. Gives the alarm's number.
 *
 * For what is bounded in time and is over long before: all alarms share one timer, which is not set anew when one is
 * cleared. It keeps no process alive. A busy worker is not taken for a late answer: when the timer is due and an answer
 * has arrived as well, the answer is read first.
 */
export function setAlarm (milliseconds: number, ring: () => void): number {
  const id = nextId++
  const dueAt = performance.now() + (milliseconds || 0) // no number is no wait, as with setTimeout
  alarms.set(id, { id, dueAt, ring })
  if (dueAt < timerIsDueAt) startTimer(dueAt)
  return id
}

/** May be called for an alarm that has rung, or was cleared. */
export function clearAlarm (id: number): void {
  alarms.delete(id)
}

/** Resolves when the promise has settled, and no later than in so many milliseconds. */
export function settledWithin (promise: Promise<unknown>, milliseconds: number): Promise<void> {
  return new Promise(resolve => {
    const alarm = setAlarm(milliseconds, resolve)
    const done = () => {
      clearAlarm(alarm)
      resolve()
    }
    promise.then(done, done)
  })
}

/** The longest that a timer of Node's can wait (ms): a longer one would be due at once. */
const maxTimerMs = 2_147_483_647

function startTimer (dueAt: number): void {
  clearTimeout(timer)
  timerIsDueAt = dueAt
  // A timer may be due a moment too soon by the other clock.
  const milliseconds = Math.min(Math.max(dueAt - performance.now() + 1, 1), maxTimerMs)
  timer = setTimeout(() => {
    timerIsDueAt = Infinity
    const now = performance.now()
    // Timers run before arrived data is read, immediates after it: the second turn is certain to come after both.
    setImmediate(() => setImmediate(() => ringThoseDue(now)))
  }, milliseconds)
  timer.unref()
}

function ringThoseDue (now: number): void {
  let earliest = Infinity
  const due: Alarm[] = []
  for (const alarm of alarms.values()) {
    if (alarm.dueAt <= now) due.push(alarm)
    else earliest = Math.min(earliest, alarm.dueAt)
  }
  if (earliest < timerIsDueAt) startTimer(earliest)
  for (const { id, ring } of due) {
    // Should one throw, the others ring all the same.
    queueMicrotask(() => {
      if (alarms.get(id) === undefined) return // one that rang before has cleared it
      alarms.delete(id)
      ring()
    })
  }
}
