import { type ChildProcess, execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** Whether a process runs; one that has ended and waits for its parent to notice does not. */
export function isAlive (pid: number): boolean {
  return processes().some(process => process.pid === pid)
}

export interface RunningProcess { pid: number, parent: number, group: number, command: string }

/** The processes of this machine as the kernel knows them now, without those that have ended. */
export function processes (): RunningProcess[] {
  const lines = execFileSync('ps', ['-e', '-o', 'pid=,ppid=,pgid=,stat=,args='], { encoding: 'utf8' }).trim().split('\n')
  return lines.flatMap(line => {
    const [pid, parent, group, state, ...command] = line.trim().split(/\s+/)
    return state?.startsWith('Z') ? [] : [{ pid: Number(pid), parent: Number(parent), group: Number(group), command: command.join(' ') }]
  })
}

/** The MCP servers that a worker has started: its children without its reaper. */
export function serversOf (pid: number): number[] {
  return processes().filter(({ parent, command }) => parent === pid && !command.startsWith('/bin/sh -c')).map(process => process.pid)
}

/** Ends a process, at once; may be called twice. */
export function stopper (child: ChildProcess): () => Promise<void> {
  const exited = new Promise<void>(resolve => { child.once('exit', () => resolve()) })
  return async () => {
    child.kill('SIGKILL')
    await exited
  }
}

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
