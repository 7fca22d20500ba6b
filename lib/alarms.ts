/** An alarm that is set. */
export interface Alarm {
  dueAt: number
  ring: () => void
  /** Its neighbours among those that are set; `null` once it has rung or was cleared. */
  next: Alarm | null
  previous: Alarm | null
}

/** Between the last alarm that was set and the first: a ring, in which each can be taken out at once. */
const ends: Alarm = { dueAt: Infinity, ring () {}, next: null, previous: null }
ends.next = ends.previous = ends

let timer: NodeJS.Timeout | undefined
let timerIsDueAt = Infinity

/**
 * Calls `ring` in so many milliseconds, unless the alarm is cleared before.
 *
 * For what is bounded in time and is over long before: all alarms share one timer, which is not set anew when one is
 * cleared. It keeps no process alive. A busy worker is not taken for a late answer: when the timer is due and an answer
 * has arrived as well, the answer is read first.
 */
export function setAlarm (milliseconds: number, ring: () => void): Alarm {
  const dueAt = performance.now() + (milliseconds || 0) // no number is no wait, as with setTimeout
  const last = ends.previous as Alarm
  const alarm: Alarm = { dueAt, ring, next: ends, previous: last }
  last.next = ends.previous = alarm
  if (dueAt < timerIsDueAt) startTimer(dueAt)
  return alarm
}

/** May be called for an alarm that has rung, or was cleared. */
export function clearAlarm (alarm: Alarm): void {
  const { next, previous } = alarm
  if (next === null || previous === null) return
  next.previous = previous
  previous.next = next
  // One that the collector keeps for long must not keep those that were set after it.
  alarm.next = alarm.previous = null
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
  for (let alarm = ends.next as Alarm; alarm !== ends; alarm = alarm.next as Alarm) {
    if (alarm.dueAt <= now) due.push(alarm)
    else earliest = Math.min(earliest, alarm.dueAt)
  }
  if (earliest < timerIsDueAt) startTimer(earliest)
  for (const alarm of due) {
    // Should one throw, the others ring all the same.
    queueMicrotask(() => {
      if (alarm.next === null) return // one that rang before has cleared it
      clearAlarm(alarm)
      alarm.ring()
    })
  }
}
