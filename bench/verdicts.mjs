/* What a run holds, and its end: with exit code 1 when something is not held, when it takes too long, or is stopped. */

/**
 * `cleanUp` ends what the run has started, and may give verdicts of its own. It runs once, however the run ends. A run
 * that is not over after `longestSeconds` is broken: each of its requests has its end.
 */
export function createVerdicts ({ name, longestSeconds, cleanUp }) {
  const faults = []
  let isEnding = false
  const giveUp = setTimeout(() => end(`the ${name} was not over after ${longestSeconds} s`), longestSeconds * 1_000)
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => end(`the ${name} was stopped by ${signal}`))

  function verdict (isHeld, what) {
    console.log(`${isHeld ? 'held' : 'NOT HELD'}: ${what}`)
    if (!isHeld) faults.push(what)
  }

  /** `fault` is why the run ends before it is over. */
  async function end (fault) {
    if (isEnding) return
    isEnding = true
    clearTimeout(giveUp)
    if (fault !== undefined) {
      faults.push(fault)
      console.log(`NOT RIGHT: ${fault}`)
    }
    await cleanUp(verdict)
    process.exit(faults.length === 0 ? 0 : 1)
  }

  return { verdict, end, isFaulty: () => faults.length > 0 }
}
