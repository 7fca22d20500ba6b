/**
 * Lets `work` run once at a time. Asked for meanwhile, it runs once more afterwards. A failure of it is passed over:
 * whoever asks does so again before long.
 */
export function oneAtATime (work: () => Promise<void>): () => void {
  let isRunning = false
  let runsAgain = false

  return function run (): void {
    runsAgain = isRunning
    if (isRunning) return
    isRunning = true
    work().catch(() => {}).finally(() => {
      isRunning = false
      if (runsAgain) run()
    })
  }
}
