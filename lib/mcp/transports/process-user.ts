import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** The user that a process runs as, and its group; without one it keeps the group of the service. */
export interface ProcessUser { readonly uid: number, readonly gid?: number }

/** Why a process cannot run as a user: the field of the entry that is to blame, and the rule that it breaks. */
export interface UserFault { field: 'uid' | 'cwd' | 'command', rule: string }

/**
 * Tries whether a process of this user can be started in `cwd`, run `command`, and be ended by the service, and cannot
 * become the service's user again. Blocks for as long as a shell takes to start.
 *
 * A capability that outlives the change of user would undo it. libuv drops the supplementary groups where it may, and
 * says nothing where it may not.
 *
 * @see https://man7.org/linux/man-pages/man7/capabilities.7.html
 */
export function findUserFault (
  user: ProcessUser, { cwd, command }: { cwd: string, command: string }
): UserFault | null {
  const { uid } = user
  const own = process.geteuid?.()
  if (uid !== own && own !== 0) {
    return fault(`must be ${own}, the service's own user: only a service that runs as root can start another user's`)
  }
  if (uid !== own && !mayEndOthers()) {
    return fault('cannot be used: the service could not end the server, for it lacks CAP_KILL')
  }
  const { error, status, stdout } = spawnSync('/bin/sh', ['-c', probe, 'sh', cwd, command], {
    ...user,
    cwd: '/',
    env: {},
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
    timeout: 10_000,
    killSignal: 'SIGKILL'
  })
  if (error) return fault(`cannot be used: no process can be started as ${nameOf(user)} (${codeOf(error)})`)
  switch (status) {
    case exitCodes.folder:
      return { field: 'cwd', rule: `must be a folder that user ${uid} may enter, but ${cwd} is none` }
    case exitCodes.command:
      return { field: 'command', rule: `must be an executable of user ${uid}, but ${command} is none` }
  }
  if (uid === own) return null
  if (capabilities.test(stdout)) return fault('cannot be used: the server would keep capabilities of the service')
  if (groups.test(stdout)) return fault('cannot be used: the server would keep groups of the service')
  return null
}

const fault = (rule: string): UserFault => ({ field: 'uid', rule })

const exitCodes = { folder: 3, command: 4 }

/** Where there is no /proc there are no capabilities either. */
const probe = `
cd -- "$1" || exit ${exitCodes.folder}
test -x "$2" || exit ${exitCodes.command}
test -r /proc/self/status || exit 0
while read -r line; do echo "$line"; done < /proc/self/status
`
const capabilities = /^Cap(Prm|Eff|Amb):\s*0*[1-9a-f]/m
const groups = /^Groups:[^\S\n]*\d/m

const nameOf = ({ uid, gid }: ProcessUser) => gid === undefined ? `user ${uid}` : `user ${uid} and group ${gid}`
const codeOf = (error: Error) => (error as NodeJS.ErrnoException).code ?? error.name

const killBit = 5n

/** Whether this service, which runs as root, may signal processes of other users: a container may have taken that. */
function mayEndOthers (): boolean {
  if (process.platform !== 'linux') return true
  const [, effective = '0'] = /^CapEff:\s*([\da-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? []
  return (BigInt(`0x${effective}`) >> killBit & 1n) === 1n
}
