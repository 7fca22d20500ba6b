/**
 * Waits for a condition of the world outside that sends no event.
 *
 * The time is no judgement: it only ends a test whose condition never comes, and is long enough for a busy machine.
 */
export async function until (
  condition: () => boolean | Promise<boolean>,
  what: string,
  milliseconds = 60_000
): Promise<void> {
  const deadline = Date.now() + milliseconds
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`it did not come to pass in ${milliseconds} ms that ${what}`)
    await new Promise(resolve => setTimeout(resolve, 10))
  }
}

/**
 * Measures how long this process waited from now on, in milliseconds: the time that it worked is left out.
 *
 * A busy or slow machine makes work longer, and not a wait for a timer. So a limit on what a service in this process
 * waits for holds on every machine, where a limit on the time that passed would not.
 */
export function measureWaiting (): () => number {
  const start = performance.eventLoopUtilization()
  return () => Math.round(performance.eventLoopUtilization(start).idle)
}
