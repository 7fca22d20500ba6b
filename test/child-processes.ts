import { readFileSync } from 'node:fs'

/** What the children of some processes were given: arguments and environment, as anybody with their user's rights can read them. */
export interface Watch {
  /** By process and command. */
  seen: ReadonlyMap<string, string>
  stop: () => void
}

/** Looks again and again at the children of these processes. */
export function watchChildren (pids: readonly number[]): Watch {
  const seen = new Map<string, string>()
  const commandOf = (pid: number) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
  const look = (parent: number, pid: number) => {
    try {
      const command = commandOf(pid)
      const environment = readFileSync(`/proc/${pid}/environ`, 'utf8')
      // One that is just becoming another program is its parent until then, or has the command of the one and the environment of the other.
      if (command === '' || command === commandOf(parent) || commandOf(pid) !== command) return
      seen.set(`${pid} ${command.replaceAll(/https:\S+/g, '…')}`, command + environment)
    } catch {} // it has ended
  }
  const childrenOf = (pid: number) => {
    try {
      return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number)
    } catch {
      return [] // the worker has ended
    }
  }
  const timer = setInterval(() => {
    for (const pid of pids) for (const child of childrenOf(pid)) look(pid, child)
  }, 20)
  return { seen, stop: () => clearInterval(timer) }
}
