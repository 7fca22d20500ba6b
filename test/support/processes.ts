import type { ChildProcess } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'

export interface RunningProcess {
  pid: number
  parent: number
  group: number
  command: string
}

/** `null` when there is none, or one that has ended and waits for its parent to notice. */
function processOf (pid: number): RunningProcess | null {
  try {
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim()
    // The name of the program comes in parentheses, and may hold any character.
    const [state, parent, group] = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ')
    return state === 'Z' || state === 'X' ? null : { pid, parent: Number(parent), group: Number(group), command }
  } catch {
    return null
  }
}

export const isAlive = (pid: number): boolean => processOf(pid) !== null

/** The processes of this machine that run now. */
export function processes (): RunningProcess[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .flatMap(name => processOf(Number(name)) ?? [])
}

/** The MCP servers that a worker has started: its children without its reaper. */
export function serversOf (pid: number): number[] {
  return processes()
    .filter(({ parent, command }) => parent === pid && !command.startsWith('/bin/sh -c'))
    .map(process => process.pid)
}

/** Ends a process, at once; may be called twice. */
export function stopper (child: ChildProcess): () => Promise<void> {
  const exited = new Promise<void>(resolve => {
    child.once('exit', () => resolve())
  })
  return async () => {
    child.kill('SIGKILL')
    await exited
  }
}

/**
 * What the children of some processes were given: arguments and environment, as anybody with their user's rights can
 * read them.
 */
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
      // One that is just becoming another program is its parent until then, or has the command of the one and the
      // environment of the other.
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
