import { setTimeout as delay } from 'node:timers/promises'

export interface GroupLeader {
  /** The leader's process id, which is also the id of its group. */
  pid: number
  closeInput: () => void
  /** Resolves when the leader has ended. */
  exited: Promise<void>
}

/**
 * Kills a process group: closes the leader's input, waits a step, SIGTERM, waits a step, SIGKILL. Resolves when the
 * leader is gone. Never rejects.
 */
export async function killProcessGroup ({ pid, closeInput, exited }: GroupLeader, stepMs: number): Promise<void> {
  closeInput()
  if (!await endsWithin(exited, stepMs)) {
    signalGroup(pid, 'SIGTERM')
    await endsWithin(exited, stepMs)
  }
  // Also when the leader has ended by itself: its group may hold what it started.
  signalGroup(pid, 'SIGKILL')
  await exited
}

async function endsWithin (exited: Promise<void>, milliseconds: number): Promise<boolean> {
  const controller = new AbortController()
  const timeout = delay(milliseconds, false, { signal: controller.signal }).catch(() => false)
  try {
    return await Promise.race([exited.then(() => true), timeout])
  } finally {
    controller.abort()
  }
}

function signalGroup (pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal)
  } catch (error) {
    // ESRCH: the group is gone already. EPERM: what is left of it changed its user, and we may not end it.
    if (!['ESRCH', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
  }
}
