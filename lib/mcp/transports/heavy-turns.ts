/** The longest rest after a turn (ms). */
const maxRestMs = 50

/** Of the whole process, as its event loop is. */
const waiting: Array<() => void> = []
let isServing = false

/**
 * Runs work that keeps the event loop for long, when its turn has come. One piece of such work runs at a time, and when
 * there is more, the loop has as much time for everything else before the next one. So many servers that send much
 * delay the others' requests no more than one does.
 */
export function takeTurn (work: () => void): void {
  waiting.push(work)
  if (isServing) return
  isServing = true
  setImmediate(serve)
}

function serve (): void {
  const work = waiting.shift()
  if (work === undefined) {
    isServing = false
    return
  }
  const isContended = waiting.length > 0
  const begunAt = performance.now()
  work()
  // What the work has resolved runs before this, and counts. So does what else came in meanwhile: others have waited.
  setImmediate(() => {
    if (isContended) setTimeout(serve, Math.min(performance.now() - begunAt, maxRestMs))
    else serve()
  })
}
