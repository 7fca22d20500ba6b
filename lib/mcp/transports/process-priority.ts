import { readdirSync, writeFileSync } from 'node:fs'
import { constants, getPriority, setPriority } from 'node:os'

/**
 * Lets a process, and what it starts, wait for the processor behind this one. Where both have enough it changes
 * nothing. `niceness` is added to that of this process; 0 leaves the process as it is. To be called when the process
 * has just been started: its threads take it over.
 *
 * Where the kernel groups processes by session (autogroup, outside of control groups), niceness counts within a group
 * only, and a server leads a session of its own: the group is given the same. Never throws: a server can be used all
 * the same when the system does not allow this.
 *
 * @see https://man7.org/linux/man-pages/man7/sched.7.html
 */
export function lowerPriority (pid: number, niceness: number): void {
  if (niceness === 0) return
  const priority = Math.min(getPriority() + niceness, constants.priority.PRIORITY_LOW)
  attempt(() => setPriority(pid, priority))
  if (process.platform !== 'linux') return
  // Linux means one thread. Those that there are already, where this process had to wait, have not taken it over.
  attempt(() => readdirSync(`/proc/${pid}/task`).forEach(thread => setPriority(Number(thread), priority)))
  // Not where the kernel has no such groups, nor, for who is not root, twice in a tenth of a second.
  attempt(() => writeFileSync(`/proc/${pid}/autogroup`, String(priority)))
}

/** The process may have ended. */
function attempt (change: () => void): void {
  try {
    change()
  } catch {}
}
